import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  attestationMode,
  checkListType,
  noAnnotations,
  readAnnotations,
} from '../../../coordinator/project/annotations.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

function refusal(work: () => unknown): ArchfarmError {
  try {
    work();
  } catch (error) {
    if (error instanceof ArchfarmError) return error;
    throw error;
  }
  throw new Error('it was taken');
}

test('annotations are for the index, for every platform or for one, as with buildx', () => {
  assert.equal(
    readAnnotations([
      'org.opencontainers.image.title=a=b',
      'index:x=https://example/',
      'manifest-descriptor:each=1',
      'manifest-descriptor[arm64]:one=2',
      'index,manifest-descriptor[linux/amd64]:both=',
    ]),
    {
      index: { 'org.opencontainers.image.title': 'a=b', x: 'https://example/', both: '' },
      everyPlatform: { each: '1' },
      platforms: { 'linux/arm64/v8': { one: '2' }, 'linux/amd64': { both: '' } },
    },
  );
});

test('what cannot be annotated is said before anything is built', () => {
  for (const [text, message, hint] of [
    ['title', 'is not NAME=VALUE', 'manifest-descriptor[linux/arm64]:NAME=VALUE'],
    ['=x', 'is not NAME=VALUE', ''],
    ['manifest:a=b', 'cannot be annotated', 'manifest-descriptor:'],
    ['manifest[linux/amd64]:a=b', 'cannot be annotated', 'manifest-descriptor[linux/amd64]:'],
    ['index-descriptor:a=b', 'no descriptor of its own', 'index:'],
    ['index[linux/amd64]:a=b', 'that of all platforms', ''],
    ['images:a=b', 'unknown level images', 'known: index'],
    ['manifest-descriptor[armv7]:a=b', 'unknown platform', 'linux/arm/v7'],
  ] as const) {
    const error = refusal(() => readAnnotations([text]));
    assert.is(error.code, 'usage');
    assert.ok(error.message.includes(message), error.message);
    assert.ok((error.hint ?? '').includes(hint), error.hint);
  }
});

test('a Docker list takes neither annotations nor attestations', () => {
  const annotations = readAnnotations(['manifest-descriptor[linux/amd64]:a=b']);
  assert.match(refusal(() => checkListType({ type: 'docker', annotations })).message, /no annotations/);
  const kept = { type: 'docker', annotations: noAnnotations, attestations: 'keep' } as const;
  assert.match(refusal(() => checkListType(kept)).message, /no attestations/);
  assert.is(attestationMode({ type: 'docker' }), 'strip');
  assert.is(attestationMode({ type: 'auto' }), 'keep');
  assert.is(attestationMode({ type: 'docker', attestations: 'error' }), 'error');
});

test.run();
