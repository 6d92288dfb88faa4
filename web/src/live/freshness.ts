// How far the figures on the page can be trusted, said in words.
import { ageInWords, countdown } from '../ui/format.ts';
import type { ConnectionStatus } from './live_session.ts';

export type Freshness = 'loading' | 'live' | 'interrupted' | 'stale';

export interface FreshnessReport {
    readonly level: Freshness;
    readonly label: string;
    // A sentence for the banner; null when there is nothing to say.
    readonly banner: string | null;
}

// A short break (a proxy reload, a laptop waking) shows in the label only.
const bannerAfterMs = 4_000;
// The state is loaded every 15 s while live; three misses in a row are worth a word.
const stateOldMs = 50_000;

export function freshness(status: ConnectionStatus, now: number): FreshnessReport {
    if (status.stateAt === null || status.lastContactAt === null) {
        return { level: 'loading', label: 'Connecting', banner: null };
    }
    if (status.phase === 'live') {
        const stateAge = now - status.stateAt;
        if (stateAge < stateOldMs) {
            return { level: 'live', label: 'Live', banner: null };
        }
        return {
            level: 'stale',
            label: 'Out of date',
            banner:
                `Events arrive, but the totals are ${ageInWords(stateAge)} old: ` +
                `${status.trouble?.message ?? 'the server does not return its state.'}`,
        };
    }
    const silence = now - status.lastContactAt;
    if (silence < bannerAfterMs) {
        return { level: 'interrupted', label: 'Reconnecting', banner: null };
    }
    const reason = status.trouble?.message ?? 'The connection was closed.';
    const next =
        status.nextAttemptAt === null
            ? 'Trying again now.'
            : `Next attempt ${countdown(status.nextAttemptAt - now)}.`;
    return {
        level: 'stale',
        label: 'Not live',
        banner: `These figures are ${ageInWords(silence)} old. ${reason} ${next}`,
    };
}
