// Horizontal bars: parts of a whole, and a ranking against the largest. The numbers stand beside the
// bars, so the bars themselves are decoration.
import { formatCount, formatPercent } from './format.ts';

export interface Part {
    readonly key: string;
    readonly label: string;
    readonly value: number;
    readonly series: number;
}

export function PartsOfWhole({ parts }: { parts: readonly Part[] }) {
    const total = parts.reduce((sum, part) => sum + part.value, 0);
    return (
        <div class="parts">
            <div class="parts-bar" aria-hidden="true">
                {parts
                    .filter((part) => part.value > 0)
                    .map((part) => (
                        <span
                            key={part.key}
                            class={`swatch-${part.series}`}
                            style={{ flexGrow: part.value }}
                        />
                    ))}
            </div>
            <ul class="parts-list">
                {parts.map((part) => (
                    <li key={part.key}>
                        <span class={`swatch swatch-${part.series}`} aria-hidden="true" />
                        <span class="parts-label">{part.label}</span>
                        <span class="parts-value">{formatCount(part.value)}</span>
                        <span class="parts-share">{formatPercent(part.value, total)}</span>
                    </li>
                ))}
            </ul>
        </div>
    );
}

export function Ranking({
    rows,
}: {
    rows: readonly { key: string; label: string; hint: string; value: number }[];
}) {
    const largest = Math.max(1, ...rows.map((row) => row.value));
    return (
        <ul class="ranking">
            {rows.map((row) => (
                <li key={row.key} data-zero={row.value === 0}>
                    <span class="ranking-label">{row.label}</span>
                    <span class="ranking-value">{formatCount(row.value)}</span>
                    <span class="ranking-track" aria-hidden="true">
                        <span style={{ width: `${(100 * row.value) / largest}%` }} />
                    </span>
                    <span class="ranking-hint">{row.hint}</span>
                </li>
            ))}
        </ul>
    );
}
