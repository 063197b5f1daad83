import { test } from 'uvu';

test('throws something else than an Error', () => {
  // eslint-disable-next-line no-throw-literal, typescript/only-throw-error
  throw 'text';
});
test('never runs', () => undefined);
test.run();
