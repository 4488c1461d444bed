// The producer: what an indexing API calls to enqueue documents and to ask what became of them.
// Content leaves it only encrypted under the tenant's data key; every answer comes within about a second.
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { parseDocument, type IndexDocument } from './documents/shapes.ts';
import { isCode, SealdexError, type Code } from './errors.ts';
import { putContent, type ContentHeader, type IntakeDeps, type PutContent } from './intake.ts';
import { jobId, type JobData } from './jobs.ts';
import { checkName } from './names.ts';
import type { JobQueue, JobState, JobStatus } from './queue/queues.ts';
import type { Marker } from './queue/stamp.ts';
import type { Tenants } from './tenants.ts';

export interface IndexRequest {
  readonly tenant: string;
  readonly corpus: string;
  /** A structured or core document; checked before anything is stored. */
  readonly document: unknown;
  /** The same key for the same tenant and corpus is one job for 24 hours (a setting). 1 to 256 characters. */
  readonly idempotencyKey?: string | undefined;
  /** `replace` (default) or `reject`: a document that came from another job makes this one a dead letter. */
  readonly ifExists?: 'replace' | 'reject' | undefined;
}

export type EnqueueResult =
  | { readonly status: 'queued'; readonly jobId: string; readonly revision: number }
  | {
      readonly status: 'duplicate';
      readonly jobId: string;
      readonly revision: number;
      readonly state: JobState;
      readonly code?: Code;
    };

export interface Producer extends AsyncDisposable {
  /** @throws SealdexError, with `field` when the request has a fault; nothing is queued then */
  enqueueIndex(request: IndexRequest): Promise<EnqueueResult>;
  /** One result or error per request, in their order; a faulty one leaves the others alone. */
  enqueueIndexBulk(requests: readonly IndexRequest[]): Promise<(EnqueueResult | SealdexError)[]>;
  status(jobId: string): Promise<JobStatus>;
}

export interface ProducerDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly queue: JobQueue;
  readonly tenants: Tenants;
  readonly intake: IntakeDeps;
}

/** Requests of one bulk that are encrypted and stored at once. */
const BULK_AT_ONCE = 16;

interface Checked {
  readonly tenant: string;
  readonly corpus: string;
  readonly document: IndexDocument;
  readonly ifExists: 'replace' | 'reject';
  readonly idempotencyKey?: string;
}

export function createProducerFrom(deps: ProducerDeps): Omit<Producer, typeof Symbol.asyncDispose> {
  const { config, queue } = deps;

  const enqueue = async (request: IndexRequest, revision: () => Promise<number>): Promise<EnqueueResult> => {
    const checked = check(request, config);
    const { keyArn } = await deps.tenants.get(checked.tenant);
    if (checked.idempotencyKey === undefined) {
      const id = jobId();
      const first = await revision();
      await add(deps, checked, keyArn, id, first);
      return { status: 'queued', jobId: id, revision: first };
    }
    return enqueueOnce(deps, checked, keyArn, checked.idempotencyKey);
  };

  return {
    enqueueIndex: (request) => enqueue(request, () => queue.stamp(1)),

    async enqueueIndexBulk(requests) {
      const results: (EnqueueResult | SealdexError)[] = [];
      for (let from = 0; from < requests.length; from += BULK_AT_ONCE) {
        const some = requests.slice(from, from + BULK_AT_ONCE);
        // One script for all of them; in their order, so that the last of two for one document wins.
        let first: Promise<number> | undefined;
        const settled = some.map((request, index) =>
          enqueue(request, async () => (await (first ??= queue.stamp(some.length))) + index).catch(asSealdexError),
        );
        results.push(...(await Promise.all(settled)));
      }
      return results;
    },

    status: (id) => queue.status(id),
  };
}

function check(request: IndexRequest, config: Config): Checked {
  const tenant = checkName(request.tenant, 'tenant');
  const corpus = checkName(request.corpus, 'corpus');
  const { idempotencyKey, ifExists = 'replace' } = request;
  if (ifExists !== 'replace' && ifExists !== 'reject') {
    throw new SealdexError('DOCUMENT_INVALID', 'ifExists must be "replace" or "reject".', { field: 'ifExists' });
  }
  const document = parseDocument(request.document, config);
  if (idempotencyKey === undefined) return { tenant, corpus, document, ifExists };
  if (
    typeof idempotencyKey !== 'string' ||
    idempotencyKey === '' ||
    idempotencyKey.length > 256 ||
    !idempotencyKey.isWellFormed()
  ) {
    throw new SealdexError('DOCUMENT_INVALID', 'idempotencyKey must be a string of 1 to 256 characters.', {
      field: 'idempotencyKey',
    });
  }
  return { tenant, corpus, document, ifExists, idempotencyKey };
}

/** One job per idempotency key, however often and from wherever it is asked for. */
async function enqueueOnce(
  deps: ProducerDeps,
  checked: Checked,
  keyArn: string,
  idempotencyKey: string,
): Promise<EnqueueResult> {
  const { queue } = deps;
  const id = jobId({ tenant: checked.tenant, corpus: checked.corpus, kind: 'index', idempotencyKey });
  const marker = await queue.mark(id);
  if (marker.kind === 'confirmed') return duplicate(deps, id, marker);
  // Somebody made the marker and may have died before the job was added: adding again under the same id is harmless.
  const { data, content } = await add(deps, checked, keyArn, id, marker.revision);
  const queued = await queue.data(id);
  if (queued && JSON.stringify(queued.content) !== JSON.stringify(data.content)) {
    await content.remove();
    await queue.confirm(id);
    return duplicate(deps, id, { ...marker, revision: queued.revision });
  }
  if (await queue.confirm(id)) return { status: 'queued', jobId: id, revision: marker.revision };
  return duplicate(deps, id, marker);
}

async function duplicate({ queue }: ProducerDeps, id: string, marker: Marker): Promise<EnqueueResult> {
  const now = await queue.status(id);
  const state = now.state === 'unknown' ? ((marker.state as JobState | undefined) ?? 'unknown') : now.state;
  const code = now.code ?? (marker.code !== undefined && isCode(marker.code) ? marker.code : undefined);
  return { status: 'duplicate', jobId: id, revision: marker.revision, state, ...(code === undefined ? {} : { code }) };
}

async function add(
  deps: ProducerDeps,
  checked: Checked,
  keyArn: string,
  id: string,
  revision: number,
): Promise<{ data: JobData; content: PutContent }> {
  const { tenant, corpus, document, ifExists } = checked;
  const header: ContentHeader = {
    v: 1,
    tenant,
    corpus,
    job: id,
    kind: 'index',
    revision,
    ifExists,
    documentId: document.id,
  };
  const content = await putContent(deps.intake, keyArn, header, Buffer.from(JSON.stringify(document)));
  const data: JobData = {
    v: 1,
    kind: 'index',
    tenant,
    corpus,
    revision,
    object: content.object,
    content: content.content,
  };
  try {
    await deps.queue.add(id, data);
  } catch (error) {
    if (isRefused(error)) await content.remove().catch(() => {});
    throw error;
  }
  return { data, content };
}

/** Redis answered with an error, so the job is surely not in the queue; a lost connection leaves that open. */
const isRefused = (error: unknown): boolean => error instanceof SealdexError && error.reason === 'ReplyError';

const asSealdexError = (error: unknown): SealdexError =>
  error instanceof SealdexError ? error : new SealdexError('INTERNAL', undefined, { cause: error });
