import { test } from 'uvu';

test.before(() => {
  throw new Error('on purpose');
});
test('never runs', () => undefined);
test.run();
