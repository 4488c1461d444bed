// The outcome of a job: what its handler returns, and what the queue turns into a move. A type only.
import type { Code } from '../runtime/errors.ts';

export type Outcome =
  | { readonly kind: 'done'; readonly superseded?: true }
  /** `gate`: the gate whose opening releases the job, as gateId() names it. */
  | { readonly kind: 'park'; readonly code: Code; readonly gate: string }
  | { readonly kind: 'retry'; readonly code: Code; readonly spendsAttempt: boolean; readonly afterMs?: number }
  /** Gives way to other jobs, or is not due: no failure, and no attempt is spent. `afterMs`: until it comes back. */
  | { readonly kind: 'defer'; readonly code: Code; readonly afterMs: number }
  /** `reason`: why a file was rejected, as extract/reasons.ts names it. */
  | { readonly kind: 'dead'; readonly code: Code; readonly reason?: string }
  | { readonly kind: 'pause'; readonly code: Code };
