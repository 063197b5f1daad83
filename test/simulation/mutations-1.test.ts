import { test } from 'uvu';
import { testMutations } from './find-mutations.ts';

testMutations(0);

test.run();
