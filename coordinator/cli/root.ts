/** What all commands of `archfarm` are below: its name, its global flags, and how it tells of mistakes. */
import { Command } from 'commander';
import { version } from '../../shared/version.ts';
import { example } from './command-parts.ts';

/** Commander's own errors are thrown after they were printed. */
export function createRoot(): Command {
  return new Command('archfarm')
    .description('Builds multi-architecture images natively on a farm of your own machines.')
    .version(version, '--version', 'print the version')
    .option(
      '--coordinator <url>',
      'wss, https, ws or http URL, or HOST:PORT: by TLS, but for loopback without --ca (env ARCHFARM_COORDINATOR)',
    )
    .option('--token-file <file>', "file with the coordinator's token (or env ARCHFARM_TOKEN)")
    .option('--ca <file>', 'authorities that vouch for the coordinator (or env ARCHFARM_CA)')
    .option('--quiet', 'print less')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      example('archfarm build ./py-app -t registry.lab:5000/onap/py-app --platform linux/amd64,linux/arm64'),
    )
    .configureOutput({ outputError: (text, write) => write(reword(text)) })
    .exitOverride();
}

/** Commander's errors in the form of our own: the message, then an indented hint. */
function reword(text: string): string {
  return text
    .replace(/^error: /, 'archfarm: ')
    .replace(/\n\(Did you mean (.*)\)\n$/, '\n  did you mean $1\n')
    .replace(
      /(unknown option '--(?:plain-http|docker-cfg|username|password)(?:=[^']*)?')\n$/,
      '$1\n  flags of manifest-tool are those of push, and come after it: archfarm push --plain-http from-spec FILE\n',
    );
}
