/** Registries that want to be signed in to where nobody should: the list is published, or nobody learns anything. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'uvu';
import type { Hook } from '../../support/fault-proxy.ts';
import { basic, hostileRegistry, type Case, type Places } from '../../support/hostile-registry.ts';

/** Wants a token that it calls good, or the password, and says where to get it. */
function wants(challenge: (places: Places) => string | readonly string[]): Case['hook'] {
  return (places) => {
    const header = challenge(places);
    return (request, response) => {
      const { authorization } = request.headers;
      if (request.url?.startsWith('/token') === true) return answer(response, 200, {}, '{"token":"good"}');
      if (authorization === 'Bearer good' || authorization === basic) return false;
      request.resume();
      return answer(response, 401, { 'www-authenticate': [header].flat() });
    };
  };
}

function bearer(realm: (places: Places) => string, more = ''): Case['hook'] {
  return wants((places) => `Bearer realm="${realm(places)}",service="s"${more}`);
}

/** A token server of its own that does as it is told. */
function tokens(
  say: (response: ServerResponse, request: IncomingMessage, places: Places) => void,
): Case['hook'] {
  return (places) => {
    const otherwise = wants(() => 'Bearer realm="/token",service="s"')(places);
    const hook: Hook = (request, response) => {
      if (request.url?.startsWith('/token') !== true) return otherwise(request, response);
      request.resume();
      say(response, request, places);
      return true;
    };
    return hook;
  };
}

function answer(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | string[]> = {},
  body = '',
): true {
  response.writeHead(status, headers).end(body);
  return true;
}

const unsent = /where credentials are not sent/;
const elsewhere = /to which its credentials are not sent: it is in another domain/;
const noToken = /the token server answers without a token/;

const cases: Readonly<Record<string, Case>> = {
  // Realms.
  'a realm of its own, relative': { hook: bearer(() => '/token') },
  'a realm of its own, in capitals': { hook: bearer(({ host }) => `HTTP://${host.toUpperCase()}/token`) },
  'a realm in its own domain': {
    hook: bearer(({ host }) => `http://auth${host.replace('registry', '')}/token`),
  },
  'a realm of a stranger': { hook: bearer(({ stranger }) => `http://${stranger}/token`), says: elsewhere },
  'a realm of a stranger by https': {
    hook: bearer(({ stranger }) => `https://${stranger}/token`),
    says: elsewhere,
  },
  'a realm without a scheme': { hook: bearer(({ stranger }) => `//${stranger}/token`), says: elsewhere },
  'a realm of a stranger after a back slash': {
    hook: bearer(({ stranger }) => String.raw`\\\\${stranger}/token`),
    says: elsewhere,
  },
  'a realm whose name begins like its own': {
    hook: bearer(({ host }) => `http://${host.replace(':', '.stranger.test:')}/token`),
    says: elsewhere,
  },
  'a realm whose name ends like its own': {
    hook: bearer(({ stranger }) => `http://evilfarm.test:${stranger.split(':')[1]}/token`),
    says: elsewhere,
  },
  'a realm with its own name before the @': {
    hook: bearer(({ host, stranger }) => `http://${host}@${stranger}/token`),
    says: unsent,
  },
  'a realm with user and password': { hook: bearer(({ host }) => `http://a:b@${host}/token`), says: unsent },
  'an address of the metadata service': {
    hook: bearer(() => 'http://169.254.169.254/token'),
    says: elsewhere,
  },
  'the same address as one number': { hook: bearer(() => 'http://2852039166/token'), says: elsewhere },
  'a name of its domain that is the metadata service': {
    hook: bearer(() => 'http://metadata.farm.test/token'),
    says: /points at metadata\.farm\.test, a link-local address/,
  },
  'the same for somebody without credentials': {
    hook: bearer(() => 'http://169.254.169.254/token'),
    with: 'nothing',
    says: /points at 169\.254\.169\.254, a link-local address/,
  },
  'a file as realm': { hook: bearer(() => 'file:///etc/passwd'), says: unsent },
  'a script as realm': { hook: bearer(() => 'javascript:alert(1)'), says: unsent },
  'an empty realm': { hook: bearer(() => ''), says: unsent },
  'no realm': { hook: wants(() => 'Bearer service="s"'), says: unsent },
  'a realm that is no URL': { hook: bearer(() => 'http://['), says: unsent },
  'a realm that is never closed': { hook: wants(() => 'Bearer realm="/token'), says: unsent },
  'a realm that moves the cursor': { hook: bearer(() => 'http://\u009b31m[\u009b2J'), says: unsent },
  'an http realm of a registry with TLS': {
    hook: bearer(({ host }) => `http://${host}/token`),
    tls: true,
    says: unsent,
  },
  'an https realm of a registry with TLS': { hook: bearer(({ host }) => `https://${host}/token`), tls: true },
  'a token server that the user has named': {
    hook: bearer(({ host }) => `http://tokens.test:${host.split(':')[1]}/token`),
    tokenServers: ['Tokens.test'],
  },
  'a stranger for somebody without credentials': {
    hook: bearer(({ stranger }) => `http://${stranger}/token`),
    with: 'nothing',
    asksStranger: true,
  },
  'a stranger for an identity token': {
    hook: bearer(({ stranger }) => `http://${stranger}/token`),
    with: 'identity',
    says: elsewhere,
  },
  // Challenges.
  'two realms, of which the second is a stranger': {
    hook: wants(({ stranger }) => `Bearer realm="/token",realm="http://${stranger}/",service="s"`),
  },
  'Basic, and a token from a stranger': {
    hook: wants(({ stranger }) => ['Basic realm="r"', `Bearer realm="http://${stranger}/token"`]),
    says: elsewhere,
  },
  'Basic without a realm': { hook: wants(() => 'Basic') },
  'Basic in a hundred other challenges': {
    hook: wants(() => [...Array.from({ length: 100 }, (_, index) => `Odd${index} a="${index}"`), 'Basic']),
    says: /was denied: .* 401/,
  },
  'a scheme that nobody knows': { hook: wants(() => 'Negotiate YIIZ=='), says: /was denied: .* 401/ },
  'no challenge': { hook: () => (_, response) => answer(response, 401), says: /was denied: .* 401/ },
  'a challenge of 12,000 quotes': { hook: wants(() => `Bearer a=${'="'.repeat(6_000)}`), says: unsent },
  'a challenge larger than headers may be': {
    hook: wants(() => `Bearer realm="/token",x="${'x'.repeat(200_000)}"`),
    says: /larger than|Headers Overflow/i,
  },
  'a thousand headers': {
    hook: () => (_, response) => {
      for (let index = 0; index < 1_000; index++) response.setHeader(`x-${index}`, 'y'.repeat(100));
      return answer(response, 401);
    },
    says: /Headers Overflow/i,
  },
  'a scope and a service with everything in them': {
    hook: wants(() => 'Bearer realm="/token?a=1#b",service="s&scope=repository:x:*",scope="&account=root"'),
  },
  // Token servers.
  'a token server that sends on to a stranger': {
    hook: tokens((response, _, { stranger }) =>
      answer(response, 302, { location: `http://${stranger}/token` }),
    ),
    says: /\/token: 302/,
  },
  'one that sends an identity token on': {
    hook: tokens((response, _, { stranger }) =>
      answer(response, 307, { location: `http://${stranger}/token` }),
    ),
    with: 'identity',
    says: /POST .*\/token: 307/,
  },
  'one that asks for a sign-in at a stranger': {
    hook: tokens((response, _, { stranger }) =>
      answer(response, 401, { 'www-authenticate': `Basic realm="x", Bearer realm="http://${stranger}/"` }),
    ),
    says: /was denied: .*\/token: 401/,
  },
  'a page instead of a token': {
    hook: tokens((response) => answer(response, 200, {}, '<html>\u001b[2Jsign in</html>')),
    says: noToken,
  },
  'no token in the answer': { hook: tokens((response) => answer(response, 200, {}, '{}')), says: noToken },
  'a token with a line break': {
    hook: tokens((response) => answer(response, 200, {}, String.raw`{"token":"good\r\nx-evil: 1"}`)),
    says: noToken,
  },
  'a token beyond ASCII': {
    hook: tokens((response) => answer(response, 200, {}, '{"token":"göod"}')),
    says: noToken,
  },
  'a token of a megabyte': {
    hook: tokens((response) => answer(response, 200, {}, `{"token":"${'x'.repeat(1_000_000)}"}`)),
    says: /larger than 65536 bytes/,
  },
  'an answer without end': {
    hook: tokens((response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(65_536)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    }),
    says: /larger than 65536 bytes/,
  },
  'an answer that drips': {
    hook: tokens((response) => {
      response.writeHead(200).write('{');
      const timer = setInterval(() => response.write(' '), 50);
      response.once('close', () => clearInterval(timer));
    }),
    says: /no whole answer within 700 ms/,
  },
  'no answer': { hook: tokens(() => {}), says: /no whole answer within 700 ms|Headers Timeout/ },
  'a server in trouble': {
    hook: tokens((response) => answer(response, 503, { 'retry-after': '9999999' }, '\u001b]0;x\u0007')),
    says: /503 Service Unavailable/,
  },
  'a token for less than no time': {
    hook: tokens((response) => answer(response, 200, {}, '{"token":"good","expires_in":-1e99}')),
  },
  'a token for ever': {
    hook: tokens((response) => answer(response, 200, {}, '{"token":"good","expires_in":1e300}')),
  },
  'a lifetime in words, and nothing as a token': {
    hook: tokens((response) =>
      answer(response, 200, {}, '{"token":null,"access_token":"good","expires_in":"long"}'),
    ),
  },
  'a token that is never good': {
    hook: tokens((response) => answer(response, 200, {}, '{"token":"bad"}')),
    says: /was denied: .* 401/,
  },
};

const registry = await hostileRegistry();

for (const [name, one] of Object.entries(cases))
  test(`a registry answers with ${name} [R4, R5]`, () => registry.run(one));

test('what served ends', async () => {
  await registry[Symbol.asyncDispose]();
});

test.run();
