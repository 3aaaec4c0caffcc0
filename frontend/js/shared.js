// What both houses need: times, connections, dialogs, notices. Every page works without them.
import { startCountdowns } from "./countdown.js";
import { startDialogs } from "./dialog.js";
import { startLive } from "./live.js";
import { startMenus } from "./menu.js";
import { startReader } from "./reader.js";
import { startRelativeTimes } from "./relative-time.js";
import { startTheme } from "./theme.js";
import { startToasts } from "./toast.js";

export function startPage() {
  startReader();
  startTheme();
  startMenus();
  startToasts();
  startDialogs();
  startCountdowns();
  startRelativeTimes();
  startLive();
}
