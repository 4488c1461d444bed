// What gets into the log: codes, names and request ids, never the message of an error that somebody else wrote.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { faultOf, rarely, silentLog } from '../../src/runtime/log.ts';

const SECRET = 'Zebra9Quux';

describe('what may be said of an error', () => {
  it('is code, reason and field of ours', () => {
    expect(
      faultOf(new SealdexError('DOCUMENT_INVALID', `quotes ${SECRET}`, { field: 'title', reason: 'long' })),
    ).toEqual({
      code: 'DOCUMENT_INVALID',
      field: 'title',
      reason: 'long',
    });
  });

  it('is who has to act when AWS denies access', () => {
    expect(faultOf(new SealdexError('KEY_DENIED', undefined, { deniedBy: 'operator' }))).toEqual({
      code: 'KEY_DENIED',
      deniedBy: 'operator',
    });
  });

  it('is name, code and request id of what KMS, S3, Redis or Node gave', () => {
    const cause = Object.assign(new Error(`about ${SECRET}`), { name: 'DisabledException' });
    const details = { reason: 'DisabledException', cause, requestId: 'r-1' };
    expect(faultOf(new SealdexError('KEY_DISABLED', undefined, details))).toEqual({
      code: 'KEY_DISABLED',
      reason: 'DisabledException',
      cause: 'DisabledException',
      requestId: 'r-1',
    });
    const network = Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' });
    expect(faultOf(network)).toEqual({ code: 'INTERNAL', cause: 'Error ECONNREFUSED' });
  });

  it.each<[string, unknown]>([
    ['an error', new Error(SECRET)],
    ['an error of JSON', jsonError()],
    ['an error with a code that is a sentence', Object.assign(new Error(SECRET), { code: `${SECRET} again` })],
    ['an error with causes', new Error(SECRET, { cause: new Error(SECRET) })],
    ['several errors', new AggregateError([new Error(SECRET)], SECRET)],
    ['a text', SECRET],
    ['an object', { message: SECRET, [SECRET]: 1 }],
    ['nothing', undefined],
    ['null', null],
  ])('is never the message of %s', (_, thrown) => {
    const fault = faultOf(thrown);
    expect(fault.code).toBe('INTERNAL');
    expect(JSON.stringify(fault)).not.toContain(SECRET);
  });

  it('is never the message of an error in the cause of ours', () => {
    const fault = faultOf(new SealdexError('STORE_FAILED', undefined, { cause: new Error(SECRET, { cause: SECRET }) }));
    expect(fault).toEqual({ code: 'STORE_FAILED', cause: 'Error' });
  });
});

function jsonError(): unknown {
  try {
    return JSON.parse(`{"title": ${SECRET}}`);
  } catch (error) {
    return error;
  }
}

describe('the log', () => {
  it('is a line of JSON an event on standard output, from the level on that was set', async () => {
    const script = `
      const { createLog, faultOf } = await import(${JSON.stringify(new URL('../../src/runtime/log.ts', import.meta.url).href)});
      const log = createLog({ logLevel: 'info' }, 'worker');
      log.debug({}, 'not said');
      log.warn({ job: 'j1', ...faultOf(new Error('${SECRET}')) }, 'job comes back');`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toEqual([
      expect.objectContaining({
        level: 40,
        role: 'worker',
        job: 'j1',
        code: 'INTERNAL',
        cause: 'Error',
        msg: 'job comes back',
      }),
    ]);
    expect(stdout).not.toContain(SECRET);
  });

  it('may be silent', () => {
    expect(() => silentLog.error({}, 'x')).not.toThrow();
  });
});

describe('a thing that is said rarely', () => {
  it('is said once an interval and key', () => {
    let now = 0;
    const said: string[] = [];
    const say = rarely(() => now, 1000);
    for (now = 0; now < 2500; now += 100) for (const key of ['a', 'b']) say(key, () => said.push(`${key} ${now}`));
    expect(said).toEqual(['a 0', 'b 0', 'a 1000', 'b 1000', 'a 2000', 'b 2000']);
  });

  it('is remembered for a bounded number of keys', () => {
    let said = 0;
    const say = rarely(() => 0, 1000);
    for (let n = 0; n < 1000; n++) say(`key ${n}`, () => (said += 1));
    say('key 0', () => (said += 1));
    expect(said).toBe(1000);
    say('one more', () => (said += 1));
    say('key 0', () => (said += 1));
    expect(said).toBe(1002);
  });
});
