/** `archfarm agents drain`, `resume` and `rm`: what people tell single machines of the farm. */
import { clientName } from './client-name.ts';
import { openCoordinator, type GlobalOptions } from './global-options.ts';
import { print } from './output.ts';
import { plainText } from './progress/sanitize.ts';

export type AgentOrder = 'drain' | 'resume' | 'rm';

export async function runAgentOrder(order: AgentOrder, name: string, global: GlobalOptions): Promise<void> {
  using api = await openCoordinator(global);
  const { signal } = global;
  if (order === 'drain') await api.drainAgent(name, { client: clientName(), signal });
  else if (order === 'resume') await api.resumeAgent(name, signal);
  else await api.removeAgent(name, signal);
  print(plainText(name));
}
