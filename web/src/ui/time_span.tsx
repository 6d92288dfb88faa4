// The time span of a section's charts, and the control by which it is chosen.
import { useState } from 'preact/hooks';
import { minute } from './format.ts';
import { Segmented } from './segmented.tsx';

export interface TimeSpan {
    // In minutes.
    readonly value: string;
    readonly label: string;
}

export function useTimeSpan<S extends TimeSpan>(spans: readonly S[], first: S) {
    const [choice, setChoice] = useState(first.value);
    const span = spans.find((one) => one.value === choice) ?? first;
    const control = (
        <Segmented
            label="Time span of the charts"
            options={spans}
            value={span.value}
            onChange={setChoice}
        />
    );
    return { span, windowMs: Number(span.value) * minute, control };
}
