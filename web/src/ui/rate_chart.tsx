// How often something happens, over time: per second, or per minute when it is seldom.
import { useMemo } from 'preact/hooks';
import { type Bins, type History, ratePerSecond } from '../live/history.ts';
import { Chart } from './chart.tsx';
import { type Series, largest } from './chart_data.ts';
import { formatCount, formatRate, minute, second } from './format.ts';

export function RateChart<Name extends string>(props: {
    label: string;
    colour: number;
    name: Name;
    history: History<Name>;
    bins: Bins<Name>;
    windowMs: number;
    height: number;
    emptyText: string;
}) {
    const { bins, name, label, colour, windowMs } = props;
    const { series, unit } = useMemo(() => {
        const perSecond = bins.values[name].map((value) =>
            value === null ? null : (value * second) / bins.binMs,
        );
        const isSlow = largest([perSecond]) < 1;
        const values = isSlow
            ? perSecond.map((value) => (value === null ? null : value * 60))
            : perSecond;
        const only: Series = { key: name, label, colour, values };
        return { series: [only], unit: isSlow ? 'per minute' : 'per second' };
    }, [bins, name, label, colour]);
    return (
        <Chart
            label={`${label} over time`}
            kind="lines"
            starts={bins.starts}
            series={series}
            windowMs={windowMs}
            unit={unit}
            format={formatAxisRate}
            emptyText={props.emptyText}
            height={props.height}
            headline={formatRate(ratePerSecond(props.history, name, minute))}
            testId={`rate-${name}`}
        />
    );
}

function formatAxisRate(value: number): string {
    if (value === 0) {
        return '0';
    }
    return value >= 100 || Number.isInteger(value) ? formatCount(value) : value.toFixed(1);
}
