import { test } from 'uvu';
import { testSeeds } from './seeds.ts';

testSeeds(2);

test.run();
