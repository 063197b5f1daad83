/** `archfarm agents add`: lets a host join the farm, and prints what to run there. */
import { isThisHost, webSocketUrl } from '../../shared/address.ts';
import { Api } from './api.ts';
import { requireCoordinator, type GlobalOptions } from './global-options.ts';
import { print, printJson, say } from './output.ts';

export interface AgentAddOptions {
  readonly platform?: readonly string[] | undefined;
  readonly allowPush?: readonly string[] | undefined;
}

export async function runAgentAdd(
  name: string,
  { platform = [], allowPush = [] }: AgentAddOptions,
  global: GlobalOptions,
): Promise<void> {
  const address = await requireCoordinator(global);
  using api = new Api(address);
  const platforms = platform.flatMap((list) => list.split(','));
  const { token, expiresAt } = await api.addAgent(
    { name, platforms, repositories: allowPush },
    global.signal,
  );
  const coordinator = webSocketUrl(address.url, '').href.replace(/\/$/, '');
  // There the coordinator has its certificates from elsewhere, and so has the host.
  const command =
    token === undefined
      ? `archfarm-agent run --coordinator ${coordinator} --name ${name} --cert FILE --key FILE`
      : `archfarm-agent join ${coordinator} ${token}`;
  if (global.json) return printJson({ name, coordinator, command, token, expiresAt });
  print(command);
  if (global.quiet) return;
  if (token === undefined) say(`the certificate has the common name ${name}, and is one of --client-ca`);
  else say('to be run on the host, once and within the hour: whoever has this line can be that agent');
  if (isThisHost(address.url)) say('on another host, write the name by which it reaches this machine');
}
