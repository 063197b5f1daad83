/**
 * What GitHub's runner makes of the log of a step, after its source (actions/runner: OutputManager, ActionCommandManager, ActionCommand):
 * both forms of commands, and the pause that `stop-commands` makes. Knows nothing of who wrote the log.
 */

const known = new Set(
  'add-mask add-matcher add-path debug echo endgroup error group notice remove-matcher save-state set-env set-output stop-commands warning'.split(
    ' ',
  ),
);

export interface WorkflowCommand {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly data: string;
}

export interface ReadLog {
  /** Commands that it carried out, those that pause it and end the pause left out. */
  readonly commands: readonly WorkflowCommand[];
  /** Every other line: what the page shows. */
  readonly lines: readonly string[];
}

export function readLog(log: string): ReadLog {
  const commands: WorkflowCommand[] = [];
  const lines: string[] = [];
  let token: string | undefined;
  for (const line of log.split(/\r\n|\r|\n/)) {
    const command = commandOf(line, (name) => known.has(name) || name === token);
    if (command === undefined) lines.push(line);
    else if (token !== undefined) {
      if (command.name === token) token = undefined;
      else lines.push(line);
    } else if (command.name === 'stop-commands') token = command.data.toLowerCase();
    else commands.push(command);
  }
  if (token !== undefined) throw new Error('commands stay stopped');
  return { commands, lines };
}

function commandOf(line: string, isKnown: (name: string) => boolean): WorkflowCommand | undefined {
  // Names may have any case; other characters that compare as nothing are as good as absent.
  const text = line.trimStart().replace(/^\p{Cf}+/u, '');
  const end = text.indexOf('::', 2);
  if (text.startsWith('::') && end !== -1) {
    const command = parsed(text.slice(2, end), text.slice(end + 2), ',', isKnown);
    if (command !== undefined) return command;
  }
  const older = line.replace(/\p{Cf}/gu, '');
  const at = older.indexOf('##[');
  const close = older.indexOf(']', at);
  if (at === -1 || close === -1) return undefined;
  return parsed(older.slice(at + 3, close), older.slice(close + 1), ';', isKnown);
}

function parsed(
  info: string,
  data: string,
  separator: string,
  isKnown: (name: string) => boolean,
): WorkflowCommand | undefined {
  const [, word = '', rest = ''] = /^([^ ]*) ?(.*)$/s.exec(info) ?? [];
  const name = word.toLowerCase();
  if (!isKnown(name)) return undefined;
  const pairs = rest.split(separator).flatMap((pair): [string, string][] => {
    const [, key, value] = /^\s*([^=]+)=(.+)$/s.exec(pair) ?? [];
    return key === undefined || value === undefined ? [] : [[key, unescaped(value)]];
  });
  return { name, properties: Object.fromEntries(pairs), data: unescaped(data) };
}

function unescaped(text: string): string {
  const characters: Readonly<Record<string, string>> = {
    '0D': '\r',
    '0A': '\n',
    '3A': ':',
    '2C': ',',
    '25': '%',
  };
  return text.replace(/%(0D|0A|3A|2C|25)/g, (whole, code: string) => characters[code] ?? whole);
}
