import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hostKey, repositoryKey, tagKey } from '../../../coordinator/registry/spelling.ts';

test('every spelling of a tag has the same key', () => {
  const same: readonly (readonly [key: string, ...spellings: string[]])[] = [
    [
      'registry.lab/x/y:1',
      'registry.lab/x/y:1',
      'Registry.lab:443/x/y:1',
      'REGISTRY.LAB/x/y:1',
      'registry.lab:0443/x/y:1',
    ],
    ['registry.lab:5000/x:latest', 'registry.lab:5000/x', 'Registry.Lab:5000/x:latest'],
    ['registry.lab:80/x:1', 'registry.lab:80/x:1'],
    ['localhost/x:1', 'localhost/x:1', 'localhost:80/x:1', 'LOCALHOST/x:1'],
    ['localhost:443/x:1', 'localhost:443/x:1'],
    ['[::1]:5000/x:1', '[::1]:5000/x:1', '[0:0:0:0:0:0:0:1]:5000/x:1'],
    [
      'docker.io/library/nginx:latest',
      'nginx',
      'library/nginx:latest',
      'docker.io/nginx',
      'Docker.io/nginx',
      'index.docker.io/nginx',
      'Index.Docker.io:443/library/nginx',
      'registry-1.docker.io/library/nginx',
    ],
  ];
  for (const [key, ...spellings] of same) for (const text of spellings) assert.is(tagKey(text), key, text);
  assert.is.not(tagKey('registry.lab/x:a'), tagKey('registry.lab/x:A'));
  assert.is(repositoryKey('Registry.lab:443/x/y:1'), 'registry.lab/x/y');
  assert.is(hostKey('Registry.lab:443'), 'registry.lab');
});

test.run();
