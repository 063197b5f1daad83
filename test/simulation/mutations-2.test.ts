import { test } from 'uvu';
import { testMutations } from './find-mutations.ts';

testMutations(1);

test.run();
