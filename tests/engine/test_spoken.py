"""What can be said in so many words."""

from beforehand.engine.spoken import Sentence, said_within

WRONG = Sentence("There is an outage.", 0)
NEXT = Sentence("News comes by noon.", 1)
CAUSE = Sentence("A cable was cut.", 4)
ADVICE = Sentence("Leave it on. Use a mobile phone until then!", 3)


def test_all_is_said_in_its_order_where_there_is_room() -> None:
    assert said_within([WRONG, CAUSE, NEXT], 40) == "There is an outage. A cable was cut. News comes by noon."


def test_what_matters_least_is_left_out_first() -> None:
    assert said_within([WRONG, CAUSE, NEXT], 10) == "There is an outage. News comes by noon."


def test_of_several_sentences_as_many_are_said_as_fit_and_none_is_cut() -> None:
    assert said_within([WRONG, NEXT, ADVICE], 12) == "There is an outage. News comes by noon. Leave it on."


def test_what_is_wrong_is_said_however_long_it_is() -> None:
    assert said_within([WRONG, NEXT], 2) == "There is an outage."


def test_sentences_end_in_every_script() -> None:
    hindi = Sentence("रुकावट है। मोबाइल फ़ोन इस्तेमाल करें।", 0)
    assert said_within([hindi, Sentence("هل يعمل؟ نعم.", 1)], 8).endswith("هل يعمل؟")
