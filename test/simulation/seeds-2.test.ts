import { test } from 'uvu';
import { testSeeds } from './seeds.ts';

testSeeds(1);

test.run();
