// Options with which a host application opens producer, reader and operator.
import type { AuditSink } from '../runtime/audit-log.ts';
import type { Environment, UnknownVariables } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';

/** Options of createProducer and createReader. */
export interface OpenOptions {
  /** Logger of the host application, for example pino's; its level decides. Silent by default. */
  readonly logger?: Log;
  /**
   * Receives the audit records instead of the destination in SEALDEX_AUDIT_LOG. Without a sink and without that setting, no audit
   * log is written.
   */
  readonly audit?: AuditSink;
  /** Environment below the settings; the process's own by default. */
  readonly env?: Environment;
  /**
   * Effect of unknown `SEALDEX_` variables in the environment: `reject` throws `CONFIG_INVALID`, `warn` emits a process warning
   * once. A producer or reader warns by default, since its application may be older or newer than the workers. An operator rejects
   * by default.
   */
  readonly unknownVariables?: UnknownVariables;
}
