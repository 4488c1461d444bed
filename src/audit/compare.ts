// Whether a line of the audit and an event of CloudTrail tell of the same call, and where they tell it differently.
import type { TrailEvent } from './cloudtrail.ts';
import type { AuditCall } from './audit-line.ts';

export interface Difference {
  readonly what: string;
  readonly audit: string;
  readonly trail: string;
}

/** Clocks differ and KMS takes its time; what is further apart is not the same moment. */
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

/** What line and event say of one call and not alike. What the event does not tell, as those of denied calls, is left out. */
export function differencesOf(call: AuditCall, event: TrailEvent): Difference[] {
  return [
    ...differing('operation', call.operation, event.operation),
    ...subjectDifferences(call, event),
    ...differing('result', call.result, event.result),
    ...(Math.abs(call.at - event.at) > TOLERANCE_MS ? [differenceOf('time', iso(call.at), iso(event.at))] : []),
  ];
}

/** Of a call without an answer nobody knows the request id: any event of that moment that is about the same will do. */
export const isPossibleMatch = (call: AuditCall, event: TrailEvent): boolean =>
  call.operation === event.operation &&
  Math.abs(call.at - event.at) <= TOLERANCE_MS &&
  event.keys.length > 0 &&
  subjectDifferences(call, event).length === 0;

/** About key and encryption context. */
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
  // DescribeKey has none.
  const isInContext = period !== undefined || purpose !== undefined;
  if (!isInContext && contexts.length === 0) return [];
  const said = isInContext ? { tenant, period, purpose } : {};
  const found = (contexts.length === 0 ? [{}] : contexts).flatMap((context: Readonly<Record<string, string>>) =>
    [...new Set([...Object.keys(said), ...Object.keys(context)])].flatMap((name) =>
      differing(name, (said as Readonly<Record<string, string | undefined>>)[name], context[name]),
    ),
  );
  // Both contexts of a re-encryption may differ in the same way.
  return [...new Map(found.map((each) => [JSON.stringify(each), each])).values()];
}
