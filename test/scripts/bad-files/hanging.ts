import { test } from 'uvu';

test('passes', () => undefined);
test.run();
setInterval(() => undefined, 1000);
