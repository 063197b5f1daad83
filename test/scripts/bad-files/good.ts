import { test } from 'uvu';

test('passes', () => undefined);
test('passes too', () => undefined);
test.run();
