/**
 * Which seed finds each mistake, and what that violates.
 *
 *     node --import tsx test/simulation/try-mutations.ts [WORD…]
 */
import { MutableCopy } from './mutate.ts';
import { mutations } from './mutations.ts';

const words = process.argv.slice(2);
await using copy = await MutableCopy.create();
for (const mutation of mutations.filter(({ name }) => words.every((word) => name.includes(word)))) {
  const violation = (await copy.violation(mutation, '1-5')) ?? 'NOT FOUND';
  console.log(`${mutation.name}: ${violation.split('\n')[0]}`);
}
