// Last writer wins, by revision, in any order, interleaving and loss of responses.
import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { S3_ERRORS } from '@sealdex/local-aws';
import { systemClock } from '../../src/runtime/clock.ts';
import { objectName } from '../../src/runtime/names.ts';
import {
  getDocument,
  headDocument,
  writeDocument,
  type DocumentPlace,
  type DocumentWrite,
} from '../../src/store/documents.ts';
import { stateOf, type Written } from '../../src/store/revisions.ts';
import { readAll, type Store } from '../../src/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { awsServices, type AwsServices } from '../support/aws-services.ts';
import { faultOf, hurriedClock, storeOf } from './fixture.ts';

let services: AwsServices;
let store: Store;

beforeAll(async () => {
  services = await awsServices();
  store = storeOf(services.settings);
});
afterEach(() => services.s3.faults.clear());
afterAll(async () => {
  store.close();
  await services[Symbol.asyncDispose]();
});

const newPlace = (): DocumentPlace => ({ tenant: 't', corpus: 'c', object: randomBytes(32).toString('hex') });
const keyOf = ({ tenant, corpus, object }: DocumentPlace): string => `documents/${tenant}/${corpus}/${object}`;
const jobOf = (revision: number): string => `j${String(revision).padStart(32, '0')}`;

const writeOf = (place: DocumentPlace, revision: number, over: Partial<DocumentWrite> = {}): DocumentWrite => ({
  ...place,
  revision,
  jobId: jobOf(revision),
  ifExists: 'replace',
  message: Buffer.from(`message ${revision}`),
  ...over,
});

const write = (place: DocumentPlace, revision: number, over: Partial<DocumentWrite> = {}, through = store) =>
  writeDocument(through, hurriedClock, writeOf(place, revision, over));

async function storedAt(place: DocumentPlace): Promise<{ revision: number; jobId: string; body: string } | undefined> {
  const stored = await getDocument(store, place);
  if (!stored) return undefined;
  const { revision, jobId } = stateOf(stored);
  return { revision, jobId, body: (await readAll(stored)).toString() };
}

const wins = (revision: number) => ({ revision, jobId: jobOf(revision), body: `message ${revision}` });

/** Runs `step` right after a read of the stored object, before the next request. */
const afterHead = (step: (round: number) => Promise<unknown>): Store => {
  let round = 0;
  return {
    ...store,
    async head(key, options) {
      const facts = await store.head(key, options);
      await step(round++);
      return facts;
    },
  };
};

describe('a stored revision in the future', () => {
  it('is logged as an error, and supersedes no document', async () => {
    const place = newPlace();
    await store.put(keyOf(place), Buffer.from('x'), { metadata: { revision: '9007199254740991', v: '1' } });
    const fault = await faultOf(write(place, systemClock.now() * 1000));
    expect(fault).toMatchObject({ code: 'STORE_FAILED', reason: 'RevisionAhead' });
  });
});

describe('a document', () => {
  it('without a predecessor costs one request', async () => {
    const place = newPlace();
    services.s3.requests.reset();
    expect(await write(place, 1)).toBe('stored');
    expect(services.s3.requests.all()).toEqual({ 'PUT object': 1 });
  });

  it('costs three requests when it replaces a lower revision', async () => {
    const place = newPlace();
    await write(place, 1);
    services.s3.requests.reset();
    expect(await write(place, 2)).toBe('replaced');
    expect(services.s3.requests.all()).toEqual({ 'PUT object': 2, 'HEAD object': 1 });
    expect(await storedAt(place)).toEqual(wins(2));
  });

  it('has only the metadata of the contract', async () => {
    const place = newPlace();
    await write(place, 1795461684317284, { jobId: 'j0' });
    expect((await headDocument(store, place))?.metadata).toEqual({
      revision: '1795461684317284',
      'job-id': 'j0',
      v: '1',
    });
  });

  it('is named by the sha256 of its id', () => {
    expect(objectName('é')).toBe('4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c');
  });

  it('is superseded by a higher stored revision, and changes nothing', async () => {
    const place = newPlace();
    await write(place, 7);
    expect(await write(place, 6)).toBe('superseded');
    expect(await storedAt(place)).toEqual(wins(7));
  });

  it('is done if an equal revision is stored, as after a lost response', async () => {
    const place = newPlace();
    services.s3.faults.set({
      match: { method: 'PUT', prefix: keyOf(place) },
      fault: { kind: 'lostResponse' },
      times: 1,
    });
    expect(await write(place, 3)).toBe('replaced');
    services.s3.requests.reset();
    expect(await write(place, 3)).toBe('replaced');
    expect(services.s3.requests.all()).toEqual({ 'PUT object': 1, 'HEAD object': 1 });
    expect(await storedAt(place)).toEqual(wins(3));
  });

  it('overwrites a foreign object, which counts as revision 0', async () => {
    for (const metadata of [{}, { revision: 'x' }, { revision: '-5' }, { revision: '1e300' }, { revision: '0x10' }]) {
      const place = newPlace();
      await store.put(keyOf(place), Buffer.from('foreign'), { metadata });
      expect(await write(place, 1)).toBe('replaced');
      expect(await storedAt(place)).toEqual(wins(1));
    }
  });

  it('deleted between read and write is written as a new one, and counts as replaced', async () => {
    const place = newPlace();
    await write(place, 1);
    const racing = afterHead((round) => (round === 0 ? store.remove(keyOf(place)) : Promise.resolve()));
    services.s3.requests.reset();
    expect(await write(place, 2, {}, racing)).toBe('replaced');
    expect(services.s3.requests.all()).toMatchObject({ 'PUT object': 3, 'HEAD object': 1 });
    expect(await storedAt(place)).toEqual(wins(2));
  });

  it('replaced between read and write is read again', async () => {
    const place = newPlace();
    await write(place, 1);
    const higher = afterHead((round) => (round === 0 ? write(place, 9) : Promise.resolve()));
    expect(await write(place, 5, {}, higher)).toBe('superseded');
    const lower = afterHead((round) => (round === 0 ? write(place, 10) : Promise.resolve()));
    expect(await write(place, 11, {}, lower)).toBe('replaced');
    expect(await storedAt(place)).toEqual(wins(11));
  });

  it('stops at the abort signal while it waits for its next round', async () => {
    const place = newPlace();
    services.s3.faults.set({ match: { prefix: keyOf(place), method: 'PUT' }, fault: S3_ERRORS.conflict });
    const controller = new AbortController();
    const reason = new Error('the job has to end');
    services.s3.requests.reset();
    const still = { ...systemClock, after: () => ({ cancel: () => {} }) };
    const running = writeDocument(store, still, writeOf(place, 1), controller.signal).catch((error: unknown) => error);
    await eventually(() => services.s3.requests.count({ method: 'HEAD' }) === 1);
    controller.abort(reason);
    expect(await running).toBe(reason);
  });
});

describe('parallel writers', () => {
  it('get ten rounds: endless 409 is STORE_FAILED with reason Contention', async () => {
    const place = newPlace();
    services.s3.faults.set({ match: { prefix: keyOf(place), method: 'PUT' }, fault: S3_ERRORS.conflict });
    services.s3.requests.reset();
    expect(await faultOf(write(place, 1))).toMatchObject({ code: 'STORE_FAILED', reason: 'Contention' });
    expect(services.s3.requests.all()).toEqual({ 'PUT object': 10, 'HEAD object': 10 });
  });

  it('get ten rounds: endless 412 is STORE_FAILED with reason Contention', async () => {
    const place = newPlace();
    await write(place, 1);
    const restless = afterHead((round) =>
      store.put(keyOf(place), Buffer.from(`other ${round}`), { metadata: { revision: '1', 'job-id': 'j', v: '1' } }),
    );
    expect(await faultOf(write(place, 2, {}, restless))).toMatchObject({ code: 'STORE_FAILED', reason: 'Contention' });
  });

  it('cause no error if they stop before the tenth round', async () => {
    const place = newPlace();
    services.s3.faults.set({ match: { prefix: keyOf(place), method: 'PUT' }, fault: S3_ERRORS.conflict, times: 9 });
    expect(await write(place, 1)).toBe('stored');
  });
});

describe('ifExists reject', () => {
  const reject = { ifExists: 'reject' } as const;

  it.each([
    ['lower', 1],
    ['equal', 5],
    ['higher', 9],
  ])("throws DOCUMENT_CONFLICT for another job's document of a %s revision, which stays", async (_, revision) => {
    const place = newPlace();
    await write(place, revision, { jobId: 'j-other' });
    expect((await faultOf(write(place, 5, reject))).code).toBe('DOCUMENT_CONFLICT');
    expect((await storedAt(place))?.jobId).toBe('j-other');
  });

  it('accepts a document of the same job, after a lost response or a repetition with a new revision', async () => {
    const place = newPlace();
    const mine = { ...reject, jobId: 'j-mine' };
    expect(await write(place, 1, mine)).toBe('stored');
    expect(await write(place, 1, mine)).toBe('replaced');
    expect(await write(place, 2, mine)).toBe('replaced');
    expect(await write(place, 1, mine)).toBe('superseded');
  });

  it('treats a tombstone as no document, and orders by its revision', async () => {
    const place = newPlace();
    const metadata = { revision: '5', 'job-id': 'j-other', v: '1', deleted: '1' };
    await store.put(keyOf(place), Buffer.alloc(0), { metadata });
    expect(await write(place, 4, reject)).toBe('superseded');
    expect(await write(place, 6, reject)).toBe('replaced');
    expect(await storedAt(place)).toEqual(wins(6));
    expect(stateOf({ metadata, etag: '', bytes: 0 }).isDeleted).toBe(true);
  });

  it('throws DOCUMENT_CONFLICT for a foreign object', async () => {
    const place = newPlace();
    await store.put(keyOf(place), Buffer.from('foreign'), {});
    expect((await faultOf(write(place, 1, reject))).code).toBe('DOCUMENT_CONFLICT');
  });
});

describe('the highest revision wins', () => {
  const revisions = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 });

  it('in any order, one after the other, and every writer gets the correct result', async () => {
    await fc.assert(
      fc.asyncProperty(revisions, async (order) => {
        const place = newPlace();
        let highest = 0;
        for (const revision of order) {
          const won = highest === 0 ? 'stored' : 'replaced';
          expect(await write(place, revision)).toBe(revision >= highest ? won : 'superseded');
          highest = Math.max(highest, revision);
        }
        expect(await storedAt(place)).toEqual(wins(highest));
      }),
      { numRuns: 40 },
    );
  });

  it('in parallel and with lost responses, if failed writers try again as jobs do', async () => {
    const outcomes = { stored: 0, replaced: 0, superseded: 0, again: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 8 }),
        fc.array(fc.record({ method: fc.constantFrom('PUT', 'HEAD'), times: fc.integer({ min: 1, max: 4 }) }), {
          maxLength: 2,
        }),
        async (order, losses) => {
          const place = newPlace();
          for (const { method, times } of losses)
            services.s3.faults.set({ match: { method, prefix: keyOf(place) }, fault: { kind: 'lostResponse' }, times });
          const writer = async (revision: number): Promise<Written> => {
            for (;;) {
              try {
                return await write(place, revision);
              } catch (error) {
                if (!(error instanceof SealdexError) || error.reason !== 'RequestTimeout') throw error;
                outcomes.again += 1;
              }
            }
          };
          const results = await Promise.all(order.map(writer));
          services.s3.faults.clear();
          const highest = Math.max(...order);
          expect(await storedAt(place)).toEqual(wins(highest));
          expect(results[order.indexOf(highest)]).not.toBe('superseded');
          for (const result of results) outcomes[result] += 1;
        },
      ),
      { numRuns: 40, endOnFailure: true },
    );
    // The property has covered all its cases.
    expect(Object.values(outcomes).every((count) => count > 0)).toBe(true);
  });
});
