// The one live region of the console. Only changes worth interrupting for are said (connection lost,
// a new alert, the result of a command), each once and never more than one every few seconds: the
// latest wins.
import { createStore, useStore } from './store.ts';

const spacingMs = 3_000;
const message = createStore('');
let waiting: string | null = null;
let quietUntil = 0;

export function announce(text: string): void {
    const now = Date.now();
    if (now >= quietUntil) {
        quietUntil = now + spacingMs;
        message.set(text);
        return;
    }
    if (waiting === null) {
        setTimeout(() => {
            const latest = waiting;
            waiting = null;
            if (latest !== null) {
                announce(latest);
            }
        }, quietUntil - now);
    }
    waiting = text;
}

export function Announcer() {
    return (
        <div class="visually-hidden" role="status" aria-live="polite">
            {useStore(message)}
        </div>
    );
}
