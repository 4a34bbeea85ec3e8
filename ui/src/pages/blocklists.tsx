// Block lists in the DNS: CustMapsList as rows.
import { useState } from "preact/hooks";
import { get, patch } from "../api";
import { t } from "../i18n";
import { mayWrite } from "../session";
import { emptyQuestion, ExplainForm } from "../ui/explain";
import { Choice, type Choices } from "../ui/fields";
import { Button, FormDialog, Grid, Loaded, Page, TextField, notice, useData } from "../ui/parts";
import type { Options } from "./settings";

type List = { root: string; code: string };

const read = (value: string): List[] =>
  value
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "")
    .map((one) => {
      const colon = one.lastIndexOf(":");
      return colon < 0 ? { root: one, code: "" } : { root: one.slice(0, colon), code: one.slice(colon + 1) };
    });
const print = (lists: List[]) => lists.map((l) => (l.code === "" ? l.root : `${l.root}:${l.code}`)).join(",");

function treatment(code: string): string {
  if (code === "0") return t("block.login");
  if (/^-\d+$/.test(code)) return t("block.slow", { n: code.slice(1) });
  return code === "1" || code === "" ? t("block.refuse") : code;
}

function AddList(props: { onClose: () => void; add: (list: List) => Promise<unknown> }) {
  const [root, setRoot] = useState("");
  const [kind, setKind] = useState("1");
  const [seconds, setSeconds] = useState("10");
  const kinds: Choices = [
    ["1", t("block.refuse")],
    ["0", t("block.login")],
    ["slow", t("block.slowed")],
  ];
  return (
    <FormDialog
      title={t("block.add")}
      submit={t("app.add")}
      onClose={props.onClose}
      onSubmit={() => props.add({ root: root.trim(), code: kind === "slow" ? `-${seconds}` : kind })}
      disabled={/[,:\s]/.test(root.trim())}
    >
      <TextField label={t("block.root")} help={t("block.root-help")} value={root} onInput={setRoot} required autofocus />
      <Choice label={t("block.treatment")} value={kind} choices={kinds} onChange={setKind} />
      {kind === "slow" && (
        <TextField label={t("block.seconds")} type="number" value={seconds} onInput={setSeconds} required />
      )}
    </FormDialog>
  );
}

export function BlockLists() {
  const data = useData("options", () => get<Options>("/options"), true);
  const [adding, setAdding] = useState(false);
  const lists = read(data.value?.options.find((o) => o.name === "CustMapsList")?.value ?? "");
  const store = async (next: List[]) => {
    const value = next.length === 0 ? null : print(next);
    await patch("/options", { version: data.value?.version, values: { CustMapsList: value } });
    notice("good", t("app.saved"));
    data.again();
  };
  return (
    <Page
      title={t("block.title")}
      up={[["/security", t("nav.access")]]}
      actions={
        mayWrite() && (
          <Button kind="primary" onClick={() => setAdding(true)}>
            {t("block.add")}
          </Button>
        )
      }
    >
      <p>{t("block.text")}</p>
      <Loaded data={data}>
        {() =>
          lists.length === 0 ? (
            <p class="quiet">{t("block.none")}</p>
          ) : (
            <Grid label={t("block.title")} head={[t("block.root"), t("block.treatment"), t("app.actions")]}>
              {lists.map((l, at) => (
                <tr key={l.root}>
                  <td>{l.root}</td>
                  <td>{treatment(l.code)}</td>
                  <td class="actions">
                    {mayWrite() && (
                      <Button kind="danger" onClick={() => store(lists.filter((_, i) => i !== at))}>
                        {t("app.remove")}
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </Grid>
          )
        }
      </Loaded>
      <section class="card beside">
        <h2>{t("explain.title")}</h2>
        <ExplainForm first={emptyQuestion} fields={["client"]} />
      </section>
      {adding && <AddList onClose={() => setAdding(false)} add={(one) => store([...lists, one])} />}
    </Page>
  );
}
