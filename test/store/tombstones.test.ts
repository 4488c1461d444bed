// Deleted documents: a tombstone is ordered like a write, in any order, interleaving and loss of responses.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { deleteDocument, headDocument, writeDocument, type DocumentPlace } from '../../src/store/documents.ts';
import { stateOf, type Written } from '../../src/store/revisions.ts';
import type { Store } from '../../src/store/store.ts';
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

type Kind = 'write' | 'delete';
interface Step {
  readonly kind: Kind;
  readonly revision: number;
}

const newPlace = (): DocumentPlace => ({ tenant: 't', corpus: 'c', object: randomBytes(32).toString('hex') });
const jobOf = (revision: number): string => `j${String(revision).padStart(32, '0')}`;

function run(place: DocumentPlace, { kind, revision }: Step, through: Store = store): Promise<Written> {
  const job = { ...place, revision, jobId: jobOf(revision) };
  return kind === 'delete'
    ? deleteDocument(through, hurriedClock, job)
    : writeDocument(through, hurriedClock, {
        ...job,
        ifExists: 'replace',
        message: Buffer.from(`message ${revision}`),
      });
}

const write = (revision: number): Step => ({ kind: 'write', revision });
const deletion = (revision: number): Step => ({ kind: 'delete', revision });

async function storedStep(place: DocumentPlace): Promise<Step> {
  const stored = await headDocument(store, place);
  if (!stored) throw new Error('nothing is stored');
  const { revision, isDeleted } = stateOf(stored);
  return { kind: isDeleted ? 'delete' : 'write', revision };
}

/** Runs `step` once, right after the first read of the stored object. */
function afterRead(step: () => Promise<unknown>): Store {
  let isDone = false;
  return {
    ...store,
    async head(...args) {
      const facts = await store.head(...args);
      if (!isDone) {
        isDone = true;
        await step();
      }
      return facts;
    },
  };
}

const ordersOf = <T>(items: readonly T[]): T[][] =>
  items.length === 0
    ? [[]]
    : items.flatMap((item, at) => ordersOf(items.toSpliced(at, 1)).map((rest) => [item, ...rest]));

describe('a tombstone', () => {
  it('has its kind in its metadata, and a body unlike any other', async () => {
    const [one, two] = [newPlace(), newPlace()];
    await run(one, deletion(5));
    await run(two, deletion(6));
    const [first, second] = [await headDocument(store, one), await headDocument(store, two)];
    expect(first?.metadata).toEqual({ revision: '5', 'job-id': jobOf(5), v: '1', deleted: '1' });
    expect(first?.etag).not.toBe(second?.etag);
  });

  it('is written with one request if there was no object', async () => {
    const place = newPlace();
    services.s3.requests.reset();
    expect(await run(place, deletion(1))).toBe('stored');
    expect(services.s3.requests.all()).toEqual({ 'PUT object': 1 });
    expect(await storedStep(place)).toEqual(deletion(1));
  });

  it('over another tombstone is not overwritten by an older write that had read the earlier one', async () => {
    const place = newPlace();
    await run(place, deletion(1));
    const racing = afterRead(() => run(place, deletion(9)));
    expect(await run(place, write(5), racing)).toBe('superseded');
    expect(await storedStep(place)).toEqual(deletion(9));
  });

  it('gives way to a newer write between its read and its write', async () => {
    const place = newPlace();
    await run(place, write(1));
    const racing = afterRead(() => run(place, write(9)));
    expect(await run(place, deletion(5), racing)).toBe('superseded');
    expect(await storedStep(place)).toEqual(write(9));
  });

  it('is done if an equal revision is stored, as after a lost response', async () => {
    const place = newPlace();
    services.s3.faults.set({ match: { method: 'PUT' }, fault: { kind: 'lostResponse' }, times: 1 });
    expect(await run(place, deletion(3))).toBe('replaced');
    expect(await run(place, deletion(3))).toBe('replaced');
    expect(await storedStep(place)).toEqual(deletion(3));
  });

  it('neither gives way to a revision from the future nor hides it', async () => {
    const place = newPlace();
    const ahead = (Date.now() + 3_600_000) * 1000;
    await run(place, write(ahead));
    expect(await faultOf(run(place, deletion(Date.now() * 1000)))).toMatchObject({ reason: 'RevisionAhead' });
    expect(await storedStep(place)).toEqual(write(ahead));
  });
});

describe('the highest revision wins', () => {
  const steps = [write(1), deletion(2), write(3), deletion(4)];
  const sets = [steps, steps.slice(0, 3), [deletion(1), write(2), deletion(3)], [write(1), deletion(2), deletion(3)]];

  it('in every order of writes and deletions, each of them repeated as by a late retry', async () => {
    for (const order of sets.flatMap(ordersOf)) {
      const place = newPlace();
      let highest = 0;
      for (const step of order) {
        const won = highest === 0 ? 'stored' : 'replaced';
        const expected = step.revision >= highest ? won : 'superseded';
        expect(await run(place, step)).toBe(expected);
        highest = Math.max(highest, step.revision);
      }
      const last = order.find(({ revision }) => revision === highest);
      for (const step of order) expect(await run(place, step)).toBe(step === last ? 'replaced' : 'superseded');
      expect(await storedStep(place)).toEqual(last);
    }
  });

  it('in every pair with one between read and write of the other', async () => {
    const kinds: Kind[] = ['write', 'delete'];
    for (const base of kinds)
      for (const outer of kinds)
        for (const inner of kinds)
          for (const [first, second] of [
            [2, 3],
            [3, 2],
          ] as const) {
            const place = newPlace();
            await run(place, { kind: base, revision: 1 });
            const racing = afterRead(() => run(place, { kind: inner, revision: second }));
            expect(await run(place, { kind: outer, revision: first }, racing)).toBe(
              first > second ? 'replaced' : 'superseded',
            );
            expect(await storedStep(place)).toEqual({ kind: first > second ? outer : inner, revision: 3 });
          }
  });

  it('if all run at once', async () => {
    for (let round = 0; round < 10; round++) {
      const place = newPlace();
      await Promise.all(steps.map((step) => run(place, step)));
      expect(await storedStep(place)).toEqual(deletion(4));
    }
  });
});
