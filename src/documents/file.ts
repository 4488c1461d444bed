// Request fields of a file besides its name: metadata and chunking strategy, with the same checks as for a document.
import { isRawInteger } from '../runtime/json.ts';
import { checkStrategy } from './check.ts';
import type { ChunkingStrategy, DocumentLimits, Metadata } from './document-types.ts';
import { invalid } from './field.ts';
import { copyPlain, type Plain } from './plain.ts';

export interface FileFacts {
  readonly metadata?: Metadata;
  readonly chunkingStrategy?: ChunkingStrategy;
}

/** Its name in the indexing API. */
const STRATEGY = 'chunking_strategy';

/** Returns copies of both. @throws SealdexError `DOCUMENT_INVALID` with `field` */
export function checkFileFacts(
  { metadata, chunkingStrategy }: { readonly metadata?: unknown; readonly chunkingStrategy?: unknown },
  limits: DocumentLimits,
): FileFacts {
  const copy = (name: string, value: unknown): Plain => copyPlain({ [name]: value }, limits)[name] ?? null;
  return {
    ...(metadata === undefined ? {} : { metadata: objectIn(copy('metadata', metadata)) }),
    ...(chunkingStrategy === undefined
      ? {}
      : { chunkingStrategy: strategyIn(copy(STRATEGY, chunkingStrategy), limits) }),
  };
}

function objectIn(value: Plain): Metadata {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawInteger(value)) return value;
  throw invalid('metadata', 'must be an object');
}

function strategyIn(value: Plain, limits: DocumentLimits): ChunkingStrategy {
  checkStrategy(value, { parent: { key: '' }, key: STRATEGY }, limits);
  return value as unknown as ChunkingStrategy;
}
