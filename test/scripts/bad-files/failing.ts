import { test } from 'uvu';

test('passes', () => undefined);
test('fails', () => {
  throw new Error('on purpose');
});
test.run();
