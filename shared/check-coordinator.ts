/** Whether a coordinator is there, takes the token, speaks our version and has our time. */
import http from 'node:http';
import https from 'node:https';
import * as v from 'valibot';
import { within } from './abort.ts';
import { inClearWarning, isInClear } from './address.ts';
import { messageOf, systemCode } from './errors.ts';
import type { Check } from './checks.ts';
import { PROTOCOL_VERSION } from './messages.ts';
import { tlsTrouble, type TlsTrust } from './trust.ts';
import { version } from './version.ts';

export interface CoordinatorQuestion {
  /** The http(s) form. */
  readonly url: URL;
  readonly token: string | undefined;
  readonly trust?: TlsTrust | undefined;
  readonly signal: AbortSignal;
}

/** Milliseconds for the answer. */
const patience = 10_000;
/** Milliseconds between two clocks that disturb nobody; tokens of registries live for minutes. */
const harmlessSkew = 30_000;

const answerSchema = v.object({ version: v.string(), protocol: v.number() });

export async function checkCoordinator(question: CoordinatorQuestion): Promise<readonly Check[]> {
  const { url, token, signal } = question;
  const subject = 'coordinator';
  const asked = Date.now();
  let answer: Answer;
  try {
    const late = (): Error => new Error(`no answer within ${patience / 1000} s`);
    answer = await within(patience, { signal, late }, (limited) =>
      askVersion({ ...question, signal: limited }),
    );
  } catch (error) {
    signal.throwIfAborted();
    const trouble = tlsTrouble(error, url);
    return [
      {
        state: 'fail',
        subject,
        what:
          trouble === undefined
            ? `cannot reach ${url.href}: ${messageOf(error) || (systemCode(error) ?? 'no connection')}`
            : `${url.href} ${trouble.what}`,
        hint: trouble?.hint ?? 'is it running there? archfarm serve starts one',
      },
    ];
  }
  const { text } = answer;
  const reached: Check = {
    state: 'ok',
    subject,
    what: `${url.href} answers${url.protocol === 'https:' ? ' by TLS, with a certificate that is trusted here' : ''}`,
  };
  const clear: Check[] =
    token !== undefined && isInClear(url)
      ? [{ state: 'warn', subject: 'token', what: inClearWarning(url) }]
      : [];
  const time = clock(answer.date, { asked, answered: Date.now() });
  return [reached, ...clear, entry(answer.status, { text, token }), ...(time === undefined ? [] : [time])];
}

interface Answer {
  readonly status: number;
  readonly date: string | undefined;
  readonly text: string;
}

/** Bytes; who answers may be anybody. */
const maxAnswer = 64 * 1024;

function askVersion({ url, token, trust, signal }: CoordinatorQuestion): Promise<Answer> {
  const { get } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const request = get(new URL('v1/version', url), {
      agent: false,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal,
      ...trust,
    });
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        if (text.length > maxAnswer) response.destroy();
      });
      response.on('close', () =>
        resolve({ status: response.statusCode ?? 0, date: response.headers.date, text }),
      );
    });
  });
}

function entry(status: number, { text, token }: { text: string; token: string | undefined }): Check {
  const subject = 'token';
  if (status === 401 || status === 403) {
    return {
      state: 'fail',
      subject,
      what: token === undefined ? 'the coordinator wants a token' : 'the coordinator refuses the token',
      hint: 'give its token with --token-file or ARCHFARM_TOKEN',
    };
  }
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), answerSchema), text);
  if (status !== 200 || !parsed.success) {
    return {
      state: 'fail',
      subject: 'coordinator',
      what: `the answer has status ${status} and does not tell a version`,
      hint: `is this an archfarm coordinator, and not older than ${version}?`,
    };
  }
  const { output } = parsed;
  if (output.protocol !== PROTOCOL_VERSION) return versionGap(output);
  return { state: 'ok', subject: 'version', what: `the coordinator lets us in; it is ${output.version}` };
}

/** A coordinator serves the protocol before its own, and none after it. */
function versionGap(theirs: { version: string; protocol: number }): Check {
  const isServed = theirs.protocol === PROTOCOL_VERSION + 1;
  const what = `the coordinator is ${theirs.version} with protocol ${theirs.protocol}, this is ${version} with ${PROTOCOL_VERSION}`;
  return {
    state: isServed ? 'warn' : 'fail',
    subject: 'version',
    what: isServed ? `${what}, which it still serves` : what,
    hint:
      theirs.protocol > PROTOCOL_VERSION
        ? 'update archfarm on this host'
        : 'update the coordinator first, then its agents',
  };
}

/** The header has whole seconds. */
function clock(
  date: string | undefined,
  { asked, answered }: { asked: number; answered: number },
): Check | undefined {
  const theirs = Date.parse(date ?? '');
  if (Number.isNaN(theirs)) return undefined;
  const difference = theirs > answered ? theirs - answered : Math.max(0, asked - (theirs + 1000));
  const seconds = Math.round(difference / 1000);
  if (difference <= harmlessSkew) {
    return { state: 'ok', subject: 'clock', what: `within ${seconds} s of the coordinator's` };
  }
  return {
    state: 'warn',
    subject: 'clock',
    what: `${seconds} s ${theirs > asked ? 'behind' : 'ahead of'} the coordinator's`,
    hint: 'let both hosts take their time from NTP: registries refuse tokens that seem too old or too new',
  };
}
