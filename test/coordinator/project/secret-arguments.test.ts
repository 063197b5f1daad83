import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { secretArgumentWarnings } from '../../../coordinator/project/secret-arguments.ts';

function warned(names: readonly string[], value = 'x'): string[] {
  const args = Object.fromEntries(names.map((name) => [name, value]));
  return secretArgumentWarnings({ args, perPlatform: {} }).map(
    (warning) => /argument (\S+) looks like a secret/.exec(warning)?.[1] ?? warning,
  );
}

test('names that buildx warns of are warned of, and no others', () => {
  const secret = [
    'api_key',
    'DATABASE_PASSWORD',
    'GITHUB_TOKEN',
    'secret_MESSAGE',
    'AUTH',
    'apikey',
    'DB_PASSWD',
  ];
  const harmless = [
    'MONKEY',
    'TOKENIZER',
    'PUBLIC_KEY',
    'KEYBOARD',
    'AUTHOR',
    'VERSION',
    'HTTP_PROXY',
    'SECRETS',
  ];
  assert.equal(warned([...secret, ...harmless]), secret);
});

test('an argument without a value is none to lose', () => {
  assert.equal(warned(['GITHUB_TOKEN'], ''), []);
});

test('an argument of one platform is warned of as well, once and never with its value', () => {
  const own = { args: { NPM_TOKEN: 'precious' } };
  const warnings = secretArgumentWarnings({
    args: { NPM_TOKEN: 'precious' },
    perPlatform: { 'linux/amd64': own, 'linux/arm64': own },
  });
  assert.is(warnings.length, 1);
  assert.match(warnings[0] ?? '', 'history');
  assert.match(warnings[0] ?? '', '--secret id=npm_token,env=NPM_TOKEN');
  assert.not.match(warnings[0] ?? '', 'precious');
});

test.run();
