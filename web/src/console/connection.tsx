// Whether the figures are live: a label in the top bar, and a banner when they are not.
import type { FreshnessReport } from '../live/freshness.ts';
import { IconWarning } from '../ui/icons.tsx';

export function ConnectionPill({ report }: { report: FreshnessReport }) {
    return (
        <span class="pill" data-level={report.level} data-testid="connection">
            <span class="pill-dot" aria-hidden="true" />
            {report.label}
        </span>
    );
}

// Not a live region: its seconds count up. The announcer says once that the figures went stale.
export function ConnectionBanner({ text, onRetry }: { text: string; onRetry?: () => void }) {
    return (
        <div class="banner" data-testid="stale-banner" role="region" aria-label="Connection">
            <div class="banner-inner">
                <IconWarning />
                <p>{text}</p>
                {onRetry && (
                    <button type="button" class="button" onClick={onRetry}>
                        Try now
                    </button>
                )}
            </div>
        </div>
    );
}
