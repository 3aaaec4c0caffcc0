// The portal's script: for the people who are served.
import { startPush } from "./push.js";
import { startPage } from "./shared.js";

startPage();
startPush();
