// Outcome of a job: returned by its handler, and turned into a move by the queue. Types only.
import type { Code } from '../runtime/errors.ts';

export type Outcome =
  | { readonly kind: 'done'; readonly superseded?: true }
  /** `gate`: id of the gate whose opening releases the job, see gateId(). */
  | { readonly kind: 'park'; readonly code: Code; readonly gate: string }
  | { readonly kind: 'retry'; readonly code: Code; readonly spendsAttempt: boolean; readonly afterMs?: number }
  /** Other jobs go first, or the job is not due: not a failure, and uses no attempt. `afterMs`: delay until it returns. */
  | { readonly kind: 'defer'; readonly code: Code; readonly afterMs: number }
  /** `reason`: why a file was rejected, see extract/reasons.ts. */
  | { readonly kind: 'dead'; readonly code: Code; readonly reason?: string }
  | { readonly kind: 'pause'; readonly code: Code };
