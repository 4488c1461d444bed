// Comparison of an audit line with a CloudTrail event: whether both are the same call, and which fields differ.
import type { TrailEvent } from './cloudtrail.ts';
import type { AuditCall } from './audit-line.ts';

export interface Difference {
  readonly what: string;
  readonly audit: string;
  readonly trail: string;
}

/** Maximum time between the two records of a call: clocks differ, and KMS calls take time. */
export const TOLERANCE_MS = 5 * 60_000;

const NONE = 'none';

const differenceOf = (what: string, audit: string | undefined, trail: string | undefined): Difference => ({
  what,
  audit: audit ?? NONE,
  trail: trail ?? NONE,
});

const differing = (what: string, audit: string | undefined, trail: string | undefined): Difference[] =>
  audit === trail ? [] : [differenceOf(what, audit, trail)];

const iso = (ms: number): string => new Date(ms).toISOString();

/** Returns the fields that differ. Fields that the event does not have are skipped, as for denied calls. */
export function differencesOf(call: AuditCall, event: TrailEvent): Difference[] {
  return [
    ...differing('operation', call.operation, event.operation),
    ...subjectDifferences(call, event),
    ...differing('result', call.result, event.result),
    ...(Math.abs(call.at - event.at) > TOLERANCE_MS ? [differenceOf('time', iso(call.at), iso(event.at))] : []),
  ];
}

/** For a call without a response, which has no request id: whether the event has the same operation, key, context and time. */
export const isPossibleMatch = (call: AuditCall, event: TrailEvent): boolean =>
  call.operation === event.operation &&
  Math.abs(call.at - event.at) <= TOLERANCE_MS &&
  event.keys.length > 0 &&
  subjectDifferences(call, event).length === 0;

/** Differences of key and encryption context. */
function subjectDifferences(call: AuditCall, event: TrailEvent): Difference[] {
  const others = event.keys.filter((key) => key !== call.key);
  return [
    ...(others.length > 0 ? [differenceOf('key', call.key, others.join(' '))] : []),
    ...(event.hasParameters ? contextDifferences(call, event) : []),
  ];
}

function contextDifferences(call: AuditCall, { contexts }: TrailEvent): Difference[] {
  const { period, purpose } = call;
  const tenant = call.contextTenant ?? call.tenant;
  // DescribeKey has no context.
  const isInContext = period !== undefined || purpose !== undefined;
  if (!isInContext && contexts.length === 0) return [];
  const expected = isInContext ? { tenant, period, purpose } : {};
  const found = (contexts.length === 0 ? [{}] : contexts).flatMap((context: Readonly<Record<string, string>>) =>
    [...new Set([...Object.keys(expected), ...Object.keys(context)])].flatMap((name) =>
      differing(name, (expected as Readonly<Record<string, string | undefined>>)[name], context[name]),
    ),
  );
  // Both contexts of a re-encryption may differ in the same way.
  return [...new Map(found.map((each) => [JSON.stringify(each), each])).values()];
}
