// What became of a message, as the trace tells it.
import { number, t, type Key } from "../i18n";
import { messages } from "../messages";
import { said } from "../said";

export type StoryEvent = { time: string; role: string; event: string; values: Record<string, string> };
export type Story = { id: string; state: "queue" | "frozen" | "gone" | "session"; events: StoryEvent[]; more_events: number };
export type Trace = { stories: Story[]; more: boolean; incomplete: boolean; days: number };

/** An event in the reader's language where it is known. */
function eventName(event: string): string {
  const key = "event." + event;
  return key in messages ? t(key as Key) : event;
}

const bad = /refused|failed|deferred|frozen|waits/;

/** The events; `own` is the id that needn't be said. */
export function Events(props: { story: Story }) {
  const { story } = props;
  return (
    <>
      <ol class="events">
        {story.events.map((e, i) => (
          <li key={i} class={bad.test(e.event) ? "bad" : undefined}>
            <span class="quiet">{e.time.slice(0, 19)}</span> <strong>{eventName(e.event)}</strong>{" "}
            {Object.entries(e.values)
              .filter(([k, v]) => k !== "reason" && v !== "" && !(k === "id" && v === story.id))
              .map(([k, v]) => (
                <span key={k} class="value">
                  <span class="quiet">{k}</span> {v}{" "}
                </span>
              ))}
            {e.values.reason && <p class="said">{said(e.values.reason)}</p>}
          </li>
        ))}
      </ol>
      {story.more_events > 0 && <p class="quiet">{t("story.more-events", { n: number(story.more_events) })}</p>}
    </>
  );
}
