"""Addresses of the portal. What stands in messages is answered without its last slash too: mail programs cut it."""

from django.urls import path

from beforehand.portal import customers, feeds, inbox, incidents, outbound, solved, telephone

app_name = "portal"
urlpatterns = [
    path("", incidents.status, name="home"),
    path("status/", incidents.status, name="status"),
    path("status/now/", incidents.status_now, name="status-now"),
    path("status/telephone.txt", telephone.telephone, name="telephone"),
    path("status/history/", incidents.history, name="history"),
    path("status/feed/<str:language>.atom", feeds.feed, name="feed"),
    path("my/", customers.no_page),
    path("my/<str:token>/", customers.my_page, name="my-page"),
    path("my/<str:token>", customers.my_page),
    path("my/<str:token>/now/", customers.my_now, name="my-now"),
    path("my/<str:token>/live/", inbox.live, name="my-live"),
    path("my/<str:token>/push/", inbox.notify, name="my-push"),
    path("push-worker.js", inbox.push_worker, name="push-worker"),
    path("my/<str:token>/read/", inbox.read, name="my-read"),
    path("my/<str:token>/inbox/", inbox.switch, name="my-inbox"),
    path("my/<str:token>/answer/<uuid:key>/", solved.answer, name="my-answer"),
    path("my/<str:token>/score/<uuid:key>/", solved.score, name="my-score"),
    path("my/<str:token>/rhythm/", customers.choose_rhythm, name="choose-rhythm"),
    path("my/<str:token>/language/", customers.choose_language, name="choose-language"),
    path("my/<str:token>/quiet/", customers.choose_quiet_hours, name="choose-quiet-hours"),
    path("my/<str:token>/address/", customers.choose_address, name="choose-address"),
    path("my/<str:token>/consents/", customers.choose_consents, name="choose-consents"),
    path("check/", outbound.check, name="check"),
    path("check", outbound.check),
    path("unsubscribe/<str:token>/", customers.unsubscribe, name="unsubscribe"),
    path("unsubscribe/<str:token>", customers.unsubscribe),
    path("robots.txt", incidents.robots, name="robots"),
]
