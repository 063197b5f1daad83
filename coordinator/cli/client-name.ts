/** How this client is called where somebody asks whose build it is. */
import { hostname, userInfo } from 'node:os';

/** `user@host`. */
export function clientName(): string {
  return `${userName()}@${hostname()}`.replaceAll(/\p{Cc}/gu, '').slice(0, 255);
}

/** A container's user need not have a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env['USER'] ?? String(process.getuid?.() ?? 'unknown');
  }
}
