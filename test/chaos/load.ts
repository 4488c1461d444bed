// Load of a chaos run: sends the requests of a schedule and records what was accepted. A request that failed is sent again with
// its idempotency key until it is accepted, so that no acceptance is in doubt.
import { setTimeout as sleep } from 'node:timers/promises';
import type { EnqueueResult } from '../../src/producer/producer.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import type { DocumentRequest, Request, Tenant } from './schedule.ts';
import type { ChaosServices } from './services.ts';

/** Part of every text, title, file name and document id. It must occur in no place without encryption. */
export const MARK = 'marked-chaos';
export const CORPUS = 'docs';

export interface Accepted extends DocumentRequest {
  readonly jobId: string;
  readonly revision: number;
  /** Number of calls that failed before. */
  readonly failedCalls: number;
}

export interface Load {
  /** Sends one request; resolves when it was accepted, or given up after `giveUp()`. */
  send(request: Request): Promise<void>;
  /** Calls that failed are not repeated any more. */
  giveUp(): void;
  readonly accepted: readonly Accepted[];
  /** Number of failed calls by code. */
  readonly failures: ReadonlyMap<string, number>;
  /** Kinds of requests that were given up. */
  readonly givenUp: readonly string[];
}

export const idOf = (document: number): string => `${MARK} document ${document}`;

/** The text of a request begins with a word that no other request has. */
export const wordOf = (n: number): string => `${MARK}${n}x`;

export const textOf = ({ n, sentences }: DocumentRequest): string =>
  `${wordOf(n)} ${`A sentence of ${MARK}. `.repeat(sentences)}`;

const AGAIN_MS = 400;
const PAUSED_MS = 1500;

export function startLoad({ producer, operator, aws, keys }: ChaosServices): Load {
  const accepted: Accepted[] = [];
  const failures = new Map<string, number>();
  const givenUp: string[] = [];
  let isOver = false;

  async function untilDone<T>(what: string, call: (failedCalls: number) => Promise<T>): Promise<T | undefined> {
    for (let failed = 0; ; failed += 1) {
      try {
        return await call(failed);
      } catch (error) {
        if (!(error instanceof SealdexError)) throw error;
        failures.set(error.code, (failures.get(error.code) ?? 0) + 1);
        if (isOver) {
          givenUp.push(`${what} ${error.code}`);
          return undefined;
        }
        await sleep(AGAIN_MS);
      }
    }
  }

  function enqueue(request: DocumentRequest): Promise<EnqueueResult> {
    const { kind, n, tenant, document } = request;
    const id = idOf(document);
    const about = { tenant, corpus: CORPUS, idempotencyKey: `key ${n}` };
    if (kind === 'delete') return producer.enqueueDelete({ ...about, id });
    const text = textOf(request);
    if (kind === 'upload') {
      const body = Buffer.from(text);
      return producer.enqueueUpload({
        ...about,
        documentId: id,
        filename: `${id}.txt`,
        contentType: 'text/plain',
        body,
      });
    }
    const sections = [{ title: MARK, text }];
    return producer.enqueueIndex({ ...about, document: { type: 'structured', id, title: `${MARK} title`, sections } });
  }

  async function setKey(tenant: Tenant): Promise<void> {
    await untilDone('set-key', async () => {
      // A call that failed may hold the lease of its key for a minute.
      const arn = aws.kms.createKey();
      await operator.setKey(tenant, arn);
      keys.set(tenant, arn);
    });
  }

  async function pause(tenant: Tenant): Promise<void> {
    await untilDone('pause', () => operator.pauseTenant(tenant, 'chaos'));
    await sleep(PAUSED_MS);
    await untilDone('resume', () => operator.resumeTenant(tenant));
  }

  return {
    async send(request) {
      if (request.kind === 'set-key') return setKey(request.tenant);
      if (request.kind === 'pause') return pause(request.tenant);
      if (request.kind === 'replay') return void (await operator.replay({}).catch(() => {}));
      await untilDone(request.kind, async (failed) => {
        const { jobId, revision } = await enqueue(request);
        accepted.push({ ...request, jobId, revision, failedCalls: failed });
      });
      return undefined;
    },
    giveUp() {
      isOver = true;
    },
    accepted,
    failures,
    givenUp,
  };
}
