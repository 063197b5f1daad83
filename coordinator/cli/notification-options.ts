/** `serve --webhook URL --webhook-secret-file FILE --on-publish COMMAND`. */
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { Notifications } from '../notify/notifications.ts';
import { PublishCommand } from '../notify/publish-command.ts';
import { Webhook } from '../notify/webhook.ts';

export interface NotificationFlags {
  readonly webhook?: readonly string[] | undefined;
  readonly webhookSecretFile?: string | undefined;
  readonly onPublish?: string | undefined;
}

/** Throws `usage` for a URL that is none, `config` without a secret. */
export async function openNotifications(
  { webhook = [], webhookSecretFile, onPublish }: NotificationFlags,
  { data, log, environment }: { data: string; log: Logger; environment: NodeJS.ProcessEnv },
): Promise<Notifications> {
  const urls = webhook.map(readUrl);
  const secret = urls.length === 0 ? '' : await readSecret(webhookSecretFile, environment);
  const directory = join(data, 'webhooks');
  if (urls.length > 0) mkdirSync(directory, { recursive: true, mode: 0o700 });
  return new Notifications({
    webhooks: urls.map((url) => new Webhook({ url, secret, directory, log })),
    onPublish:
      onPublish === undefined ? undefined : new PublishCommand({ command: onPublish, log, environment }),
    log,
  });
}

/** The text itself is not repeated: people keep secrets in such URLs. */
function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new ArchfarmError('usage', 'a --webhook is not a URL', {
      hint: 'it begins with https:// or http://, like https://ci.lab/hooks/archfarm',
    });
  }
  if (url.username === '' && url.password === '') return url;
  throw new ArchfarmError('usage', `--webhook for ${url.host} has a name or password in it`, {
    hint: 'the receiver knows the coordinator by its signature: ARCHFARM_WEBHOOK_SECRET',
  });
}

async function readSecret(file: string | undefined, environment: NodeJS.ProcessEnv): Promise<string> {
  const secret = file === undefined ? environment['ARCHFARM_WEBHOOK_SECRET'] : await read(file);
  const trimmed = secret?.trim() ?? '';
  if (trimmed !== '') return trimmed;
  throw new ArchfarmError('config', 'there is no secret to sign what webhooks are told', {
    hint: 'set ARCHFARM_WEBHOOK_SECRET or --webhook-secret-file; the receiver checks signatures with the same one',
  });
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new ArchfarmError('config', `cannot read --webhook-secret-file ${file}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
