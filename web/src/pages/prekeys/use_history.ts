// The history brought up to the present: time passes even when nothing arrives. Changes at most once
// per bucket, so that charts are not redrawn every second for nothing.
import { useMemo } from 'preact/hooks';
import type { History } from './api.ts';
import { copyHistory, extendTo } from './history.ts';

export function useCurrentHistory(history: History, now: number): History {
    const bucket = Math.floor(now / history.stepMs);
    return useMemo(() => {
        const current = copyHistory(history);
        extendTo(current, bucket * history.stepMs);
        return current;
    }, [history, bucket]);
}
