/**
 * GitHub's runner takes commands from what a step prints (actions/runner, ActionCommand.cs): a line that begins with `::name …::`
 * after any white space, and `##[name …]` anywhere in a line, which its pages read too, to fold and to colour. Output and errors of
 * builds are written by strangers, so neither form of theirs may get there.
 */
import type { Variables } from '../renderer.ts';

/** Whether such a runner reads what this process prints. Switching groups off does not make it stop. */
export function isReadByRunner(environment: Variables): boolean {
  return environment['GITHUB_ACTIONS'] === 'true' || environment['ARCHFARM_CI'] === 'github';
}

/**
 * Lines that are text and nothing else. A space breaks up what would be a command: a character without width would not, as the
 * runner's comparison may pass over those, and people who copy a line should see what it holds.
 */
export function guard(text: string): string {
  return text.replace(/^((?:(?![\r\n])[\s\p{C}\p{Z}])*):(?=:)/gmu, '$1: ').replaceAll('##[', '## [');
}

/** The same where a runner reads it; else the text as it is. */
export function guardIn(environment: Variables, text: string): string {
  return isReadByRunner(environment) ? guard(text) : text;
}

/** The same value in other characters: outside of its strings JSON has no `#`, and inside one may be written so. */
export function guardJson(json: string): string {
  return json.replaceAll('##[', '#\\u0023[');
}

/** What a command says. */
export function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** The value of one of a command's properties. */
export function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
