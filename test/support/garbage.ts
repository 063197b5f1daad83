/** What nobody holds any more is collected, again and again, until it is disposed of. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export function keepCollecting(): Disposable {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const timer = setInterval(collect, 20);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
