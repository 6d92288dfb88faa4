// The time shown on the page, once a second while it is visible. Ages in words hang on it.
import { createStore, useStore } from './store.ts';

const now = createStore(Date.now());

function tick(): void {
    if (document.visibilityState === 'visible') {
        now.set(Date.now());
    }
}

export function startClock(): void {
    setInterval(tick, 1000);
    document.addEventListener('visibilitychange', tick);
}

export function useNow(): number {
    return useStore(now);
}
