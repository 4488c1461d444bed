// Reconciliation: matches the KMS calls in the audit log of one tenant with CloudTrail events, at most one event for each line.
import { isManagementCall } from './management-calls.ts';
import { isOfKms, type OtherEvent, type TrailEvent } from './cloudtrail.ts';
import { isPossibleMatch, differencesOf, TOLERANCE_MS, type Difference } from './compare.ts';
import { NO_RESPONSE, type AuditCall } from './audit-line.ts';
import { Span, type SpanFacts } from './span.ts';

export interface ReconcileQuery {
  readonly tenant: string;
  /** Time range to report: wall clock, milliseconds, end exclusive. Unlimited by default. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

export interface Different {
  readonly call: AuditCall;
  readonly event: TrailEvent;
  readonly differences: readonly Difference[];
}

/** One side of the comparison: what was read in the time range. */
export interface Side extends SpanFacts {
  readonly duplicates: number;
  /** Number outside the time range. */
  readonly outside: number;
}

export interface Reconciled {
  /** At least one call matched, none differs, and none is on one side only. */
  readonly agrees: boolean;
  readonly matched: number;
  /** Of all matched calls, those without a response, although KMS recorded one. */
  readonly unansweredInTrail: number;
  readonly different: readonly Different[];
  readonly onlyInTrail: readonly TrailEvent[];
  readonly onlyInAudit: readonly AuditCall[];
  /** Calls without a response and without an event: they did not reach KMS, according to CloudTrail. */
  readonly unanswered: readonly AuditCall[];
  /** Failed calls without an event: AWS does not log every rejection. */
  readonly refused: readonly AuditCall[];
  /** Events for the tenant's intake content under the platform key, whose calls are not in the audit log. */
  readonly underPlatformKey: number;
  /** Management calls from the key's own account, which do not use the key. */
  readonly housekeeping: readonly TrailEvent[];
  readonly audit: Side;
  readonly trail: Side & { readonly accounts: readonly string[] };
}

/** The part of a matched event that is kept. */
type MatchedEvent = Pick<TrailEvent, 'id' | 'operation'> & { readonly account: string | undefined };

/** Bounds the memory of a reconciliation. */
const MAX_CALLS = 1_000_000;

export class TooManyCallsError extends Error {}

const placeOfEvent = ({ operation, keys }: TrailEvent): string => `${operation} ${keys[0]}`;

const TOO_MUCH = `More than ${MAX_CALLS.toLocaleString('en')} calls to compare. Restrict the range with --from and --to.`;

/** The same event again, or the event of the same call in the other account's trail. */
const isSameCall = (one: MatchedEvent, other: TrailEvent): boolean =>
  one.id === other.id || (one.account !== other.account && one.operation === other.operation);

const byTime = (one: { readonly at: number }, other: { readonly at: number }): number => one.at - other.at;

export class Reconciliation {
  readonly #query: ReconcileQuery;
  readonly #keys = new Set<string>();
  readonly #calls = new Map<string, AuditCall>();
  readonly #matched = new Map<AuditCall, MatchedEvent>();
  readonly #different: Different[] = [];
  readonly #events = new Map<string, TrailEvent>();
  readonly #accounts = new Set<string>();
  readonly #audit = new Span();
  readonly #trail = new Span();
  #sameCalls = 0;
  #sameEvents = 0;
  #callsOutside = 0;
  #eventsOutside = 0;

  constructor(query: ReconcileQuery) {
    this.#query = query;
  }

  /** Call first, for every line: collects the tenant's keys, because some CloudTrail events name a key and no tenant. */
  collectKey({ tenant, key }: AuditCall): void {
    if (tenant === this.#query.tenant) this.#keys.add(key);
  }

  /** Call second, for every line again. */
  addCall(call: AuditCall): void {
    if (call.tenant !== this.#query.tenant && !this.#keys.has(call.key)) return;
    if (!this.#isNear(call.at)) return void (this.#callsOutside += 1);
    this.#audit.add(call.at);
    const name = call.requestId ?? JSON.stringify(call);
    const known = this.#calls.get(name);
    if (known && JSON.stringify(known) === JSON.stringify(call)) return void (this.#sameCalls += 1);
    // A second, different line with the same request id is wrong, and must not match an event.
    this.#calls.set(known ? `${name} ${JSON.stringify(call)}` : name, call);
    if (this.#calls.size > MAX_CALLS) throw new TooManyCallsError(TOO_MUCH);
  }

  /** Call last, for every event. */
  addEvent(event: TrailEvent | OtherEvent): void {
    const isNear = this.#isNear(event.at);
    if (isNear) this.#trail.add(event.at);
    if (!isOfKms(event)) return;
    if (event.account !== undefined) this.#accounts.add(event.account);
    const call = this.#calls.get(event.requestId ?? '');
    if (!call && !this.#concerns(event)) return;
    if (!isNear) return void (this.#eventsOutside += 1);
    const matched = call && this.#matched.get(call);
    if (this.#events.has(event.id) || (matched && isSameCall(matched, event))) return void (this.#sameEvents += 1);
    if (!call || matched) this.#events.set(event.id, event);
    else this.#match(call, event);
    if (this.#events.size > MAX_CALLS) throw new TooManyCallsError(TOO_MUCH);
  }

  end(): Reconciled {
    this.#matchUnanswered();
    const isInRange = (at: number): boolean =>
      at >= (this.#query.from ?? -Infinity) && at < (this.#query.to ?? Infinity);
    const paired = [...this.#matched.keys()].filter(({ at }) => isInRange(at));
    const different = this.#different.filter(({ call }) => isInRange(call.at));
    const alone = [...this.#calls.values()]
      .filter((call) => !this.#matched.has(call) && isInRange(call.at))
      .sort(byTime);
    const onlyInAudit = alone.filter(({ result }) => result === 'ok');
    const left = [...this.#events.values()].filter(({ at }) => isInRange(at)).sort(byTime);
    const own = left.filter((event) => !this.#isOfPlatform(event));
    const onlyInTrail = own.filter((event) => !isManagementCall(event));
    const matched = paired.length - different.length;
    return {
      agrees: matched > 0 && different.length + onlyInTrail.length + onlyInAudit.length === 0,
      matched,
      different,
      onlyInTrail,
      onlyInAudit,
      unansweredInTrail: paired.filter(({ result }) => result === NO_RESPONSE).length,
      unanswered: alone.filter(({ result }) => result === NO_RESPONSE),
      refused: alone.filter(({ result }) => result !== 'ok' && result !== NO_RESPONSE),
      underPlatformKey: left.length - own.length,
      housekeeping: own.filter(isManagementCall),
      audit: { ...this.#audit.facts(), duplicates: this.#sameCalls, outside: this.#callsOutside },
      trail: {
        ...this.#trail.facts(),
        duplicates: this.#sameEvents,
        outside: this.#eventsOutside,
        accounts: [...this.#accounts].sort(),
      },
    };
  }

  #match(call: AuditCall, event: TrailEvent): void {
    const { id, account, operation } = event;
    this.#matched.set(call, { id, account, operation });
    const differences = call.result === NO_RESPONSE ? [] : differencesOf(call, event);
    if (differences.length > 0) this.#different.push({ call, event, differences });
  }

  #concerns({ contexts, keys, message }: TrailEvent): boolean {
    if (contexts.some(({ tenant }) => tenant === this.#query.tenant) || keys.some((key) => this.#keys.has(key)))
      return true;
    return keys.length === 0 && message !== undefined && [...this.#keys].some((key) => message.includes(key));
  }

  #isOfPlatform({ contexts, keys }: TrailEvent): boolean {
    return !keys.some((key) => this.#keys.has(key)) && contexts.some(({ purpose }) => purpose === 'intake');
  }

  /** Extends the range by twice the tolerance, so that no pair is separated at its edge. */
  #isNear(at: number): boolean {
    const { from = -Infinity, to = Infinity } = this.#query;
    return at >= from - 2 * TOLERANCE_MS && at < to + 2 * TOLERANCE_MS;
  }

  /** Matches each call without a response with the first possible event, in the order of time. */
  #matchUnanswered(): void {
    const left = Map.groupBy([...this.#events.values()].sort(byTime), placeOfEvent);
    const passed = new Map<string, number>();
    const open = [...this.#calls.values()].filter(({ result }) => result === NO_RESPONSE).sort(byTime);
    for (const call of open) {
      const place = `${call.operation} ${call.key}`;
      const events = left.get(place) ?? [];
      let next = passed.get(place) ?? 0;
      while (next < events.length && events[next]!.at < call.at - TOLERANCE_MS) next += 1;
      passed.set(place, next);
      while (next < events.length && events[next]!.at <= call.at + TOLERANCE_MS) {
        const event = events[next]!;
        next += 1;
        if (!this.#events.has(event.id) || !isPossibleMatch(call, event)) continue;
        this.#events.delete(event.id);
        this.#match(call, event);
        break;
      }
    }
  }
}
