// The history brought up to the present: time passes even when nothing arrives. Changes at most once
// per bucket, so that charts are not redrawn every second for nothing.
import { useMemo } from 'preact/hooks';
import { type History, copyHistory, extendTo } from '../live/history.ts';

export function useCurrentHistory<Name extends string>(
    history: History<Name>,
    now: number,
): History<Name> {
    const bucket = Math.floor(now / history.stepMs);
    return useMemo(() => {
        const current = copyHistory(history);
        extendTo(current, bucket * history.stepMs);
        return current;
    }, [history, bucket]);
}
