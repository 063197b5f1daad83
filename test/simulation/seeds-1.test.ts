import { test } from 'uvu';
import { testSeeds } from './seeds.ts';

testSeeds(0);

test.run();
