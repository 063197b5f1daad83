import { test } from 'uvu';
import { testSeeds } from './seeds.ts';

testSeeds(3);

test.run();
