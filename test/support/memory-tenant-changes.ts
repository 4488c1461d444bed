// The test double of the port that announces changed tenants: subscriptions in memory. No network.
import type { TenantChangeListener, TenantChanges } from '../../src/tenants/changes.ts';

/** One for all processes of a test. */
export function memoryTenantChanges(): TenantChanges {
  const listeners = new Set<TenantChangeListener>();
  return {
    async publish(tenant) {
      for (const { onChange } of listeners) onChange(tenant);
    },
    async subscribe(listener) {
      // One subscription each, even of the same listener.
      const own = { ...listener };
      listeners.add(own);
      own.onGap();
      return {
        isOn: () => listeners.has(own),
        stop() {
          listeners.delete(own);
          own.onGap();
        },
      };
    },
  };
}
