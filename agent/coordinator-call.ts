/** One question to the coordinator's HTTP API, and its answer. */
import https from 'node:https';
import * as v from 'valibot';
import { within } from '../shared/abort.ts';
import { ArchfarmError, fromErrorInfo, messageOf } from '../shared/errors.ts';
import { tlsTrouble, type TlsTrust } from '../shared/trust.ts';
import { refusalIn } from './refusal.ts';

export interface CoordinatorCall {
  /** The https form. */
  readonly coordinator: URL;
  readonly path: string;
  readonly trust: TlsTrust;
  readonly bearer?: string | undefined;
  readonly body: unknown;
  readonly signal: AbortSignal;
}

/** Milliseconds for the whole of it. */
const patience = 30_000;
/** Bytes. */
const maxAnswer = 64 * 1024;

/** Throws what the coordinator said, or `coordinator-unreachable`. */
export async function callCoordinator<T>(
  call: CoordinatorCall,
  schema: v.GenericSchema<unknown, T>,
): Promise<T> {
  const { coordinator } = call;
  let answer: Answer;
  try {
    const late = (): Error => new Error(`no answer within ${patience / 1000} s`);
    answer = await within(patience, { signal: call.signal, late }, (signal) => post({ ...call, signal }));
  } catch (cause) {
    const trouble = tlsTrouble(cause);
    const what = trouble?.what ?? `does not answer: ${messageOf(cause)}`;
    throw new ArchfarmError('coordinator-unreachable', `${coordinator.href} ${what}`, {
      hint: trouble?.hint ?? 'is it running there?',
      cause,
    });
  }
  const refusal = answer.status >= 400 ? refusalIn(answer.text) : undefined;
  if (refusal !== undefined) throw fromErrorInfo(refusal);
  const wanted = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), answer.text);
  if (answer.status < 300 && wanted.success) return wanted.output;
  throw new ArchfarmError(
    'protocol',
    `${coordinator.href} answered HTTP ${answer.status} in another way than expected`,
    {
      hint: 'is it an archfarm coordinator of the same version?',
    },
  );
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function post({ coordinator, path, trust, bearer, body, signal }: CoordinatorCall): Promise<Answer> {
  const content = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = https.request(new URL(path, coordinator), {
      method: 'POST',
      agent: false,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(content),
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
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
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('close', () => reject(new Error('the answer ended early')));
    });
    request.end(content);
  });
}
